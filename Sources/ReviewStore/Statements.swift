package import PostgresClient

extension ReviewStore {
  /// Every prepared statement, so that a test can prepare them all and look at their plans.
  package static let statements: [PostgresStatement] = [
    visitsComeDue, lockOwners, claimDue, nextDue, visitMissed, noteOwnerLimit, published, unclaim, owedClaims,
    ownClaims, leaseTickets, look,
    recordDispatched, postpone, dropLease, retryLater, fail, leaveQueued, reapAbandoned, currentTime, takeSilent,
    recordAsked, silentCount, forgetDispatch, failLost, openRollCall, seeRollCalls, unansweredRollCalls,
    answerRollCalls, pruneRollCalls, workerAnswers, workerHasAnswered, traceOfReview, takeOutbox, deleteOutbox,
    failOutbox, outboxCount, undeliveredCancels, addCancel, correctTimes, endOlderSession, signOn,
    registerHolder, heartbeat, leave, lookAtHolders, undecidedHolders, pruneHolders, report, submit, find, transitions,
    list, cancel, retry, setOwnerLimit, pauseOwner, listOwners, changeConfiguration, findConfiguration, liveStats,
    endedCounts,
    lockIntegrations, sameIntegration, putIntegration, listIntegrations, revokeIntegration, pruneReviews,
    webhookInstallation, ownWebhookSecret, webhookIntegration, storeDelivery, dueDeliveries, deferDelivery,
    pruneDeliveries,
    takeDelivery, settleDelivery, lockTimeout, lockPullRequest, relatedReviews, newestEvent, cancelRelated, insertPush,
    restartPush, touchPush, identifyPullRequest, nameRepository, allowRerun, rebasePush, takeFeedback, recordCheckRun,
    feedbackTold, feedbackDelivered, feedbackFailed,
    listDeliveries, repositoryDeliveries, addTask, takeTasks, endTask, failTask, pruneTasks, commitHasReview,
    groupVerdict, rerunnable, checkedReviews, rerun, allowRerunBy, changeInstallation, canBeRestored, failRevoked,
    cancelRemoved, sweepSoon, presentInstallation,
    storeUnknown, planCatchUp, hastenCatchUp, takeLook,
    settleLook, missedCommits, countCatchUp,
    capacity, reaperRan, counts, countReconciled,
    patientTransaction, lockIntegrationTokens, storeIntegrationTokens,
    sealedSecrets, lockSealedSecrets, storeSealedSecrets, sealFormat, setSealFormat, olderReaders,
    liveOwners, oneOwner, blockReason, whyPending, flow, recentFailures, listHolders, browseLive, browse, browseEnd,
    undeliveredFeedback, givenUpFeedback,
    backlog, identify, identifyIntegration, search, matching,
    beginSession, liveSessions, endSession, endSessions,
    Migrator.place, Migrator.applied, Migrator.shadowed, Migrator.blockers, Migrator.unpinnedFunctions,
    Migrator.isOpenToAll,
  ]
}
