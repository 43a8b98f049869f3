package import FoundationEssentials
package import Primitives
package import Reviews

/// Where every review stands, and who may do what with it next: the port between the dispatcher and Postgres.
///
/// ``ReviewStore`` implements it with SQL, `InMemoryLedger` in memory. One conformance suite runs against both, so that the second is the
/// executable specification of the first.
///
/// Every write repeats what its caller holds: the status, the attempt, the claim, the lease. A write that matches no review means that another
/// process has moved the review on: that is an answer, not an error. All times come from the ledger's own clock.
///
/// Functions throw a ``LedgerFault``. If its kind is ``LedgerFaultKind/unreachable``, the change may have been made or not.
package protocol ReviewLedger:
  ReviewOperations, ClaimLedger, LeaseLedger, RecoveryLedger, RollCallLedger, SilentReviewLedger, HolderLedger,
  CancelLedger
{
  /// The ledger's clock.
  func now() async throws -> Timestamp

  /// Ends its connections; nothing else may be asked of it afterwards.
  func close() async
}

/// What people and workers do with a review.
package protocol ReviewOperations: Sendable {
  /// Inserts a review, or finds the existing one of the same pull request and commit.
  func submit(_ review: NewReview, trace: TraceContext, actor: String?) async throws -> Submission

  /// A review as it is now; nil if there is none with this id.
  func review(_ id: UUID) async throws -> Review?

  /// What happened to a review, oldest first.
  func transitions(of id: UUID) async throws -> [ReviewTransition]

  /// Cancels a review that has not ended. If it was claimed, a cancel of its attempt is due for the worker from then on.
  func cancel(_ id: UUID, code: ErrorCode, reason: String, actor: String?) async throws -> OperationAnswer

  /// Starts a failed or cancelled review again, as a new attempt.
  func retry(_ id: UUID, reason: String, actor: String?) async throws -> OperationAnswer

  /// Applies what a worker reports about a run: running, or an end. Changes nothing if the review is pending or has ended, or if the
  /// report is about another attempt or session, or may be.
  /// - Returns: also the review's trace.
  func apply(_ report: RunReport, to id: UUID) async throws -> (answer: ReportAnswer, trace: TraceContext)

  /// Sets how many reviews an owner may have queued or running at once; nil for the default.
  func setLimit(of owner: Owner, to limit: Int?) async throws

  /// Pauses or resumes claims of an owner's reviews; what is queued already goes on.
  /// - Returns: false if there is no such owner.
  func setPaused(_ isPaused: Bool, _ owner: Owner) async throws -> Bool

  /// Stores an owner's configuration, which the lease of each of its reviews brings along.
  func setConfiguration(_ config: String, of owner: Owner, platform: Platform) async throws
}

/// From pending to queued, up to the ticket that the broker has confirmed.
package protocol ClaimLedger: Sendable {
  /// Claims due reviews, owners in turn, never more of an owner than its limit allows.
  /// - Parameters:
  ///   - limit: the most claims.
  ///   - ownerLimit: for owners that have none of their own.
  ///   - holder: the process that does it.
  ///   - looksAtDelayed: whether it looks for delayed reviews whose time has come since the last claim that did. Without it these may be left
  ///     out, until a claim looks for them: ``nextDue()`` returns when that is worthwhile.
  func claim(limit: Int, ownerLimit: Int, by holder: Holder.ID, looksAtDelayed: Bool) async throws -> [Claim]

  /// Records that the broker has confirmed the tickets of claims.
  func recordPublished(_ claims: [Claim]) async throws

  /// Gives claims back whose tickets were not confirmed, unless they were leased, dispatched or claimed anew since.
  func unclaim(_ claims: [Claim], reason: String) async throws

  /// Those of the claims that are still to be published.
  func owed(_ claims: [Claim]) async throws -> [Claim]

  /// The claims of a holder that are still to be published, the oldest first.
  func ownClaims(of holder: Holder.ID, limit: Int) async throws -> [Claim]

  /// Whether a claim may find something now, and when else.
  func nextDue() async throws -> NextDue

  /// Notes the limit of owners that have none of their own, before the first claim with it.
  func noteOwnerLimit(_ limit: Int) async throws

  /// Looks at a page of owners for one that could be claimed from and would not be looked at by a claim.
  /// - Parameters:
  ///   - owner: the end of the page before; nil starts with the first owner.
  ///   - ownerLimit: for owners that have no limit of their own.
  /// - Returns: how many were found, and the end of the page; nil after the last page.
  func visitMissed(after owner: OwnerKey?, ownerLimit: Int) async throws -> (found: Int, end: OwnerKey?)
}

/// From a ticket to its lease, and what the holder of the lease writes.
///
/// Writes of a lease return the review's new status, nil if the lease is no longer this one.
package protocol LeaseLedger: Sendable {
  /// Takes the lease of each ticket's review, or says why it cannot be had.
  /// - Parameters:
  ///   - tickets: of one batch of deliveries.
  ///   - holder: the process that does it.
  ///   - duration: the longest that the lease lasts.
  ///   - heartbeatTimeout: a holder that is silent for longer is dead.
  ///   - failureMax: a review that has cost so many holders their life is left to the reaper.
  /// - Returns: a verdict for each ticket, in order.
  func lease(
    _ tickets: [Ticket], by holder: Holder.ID, for duration: Duration, heartbeatTimeout: Duration, failureMax: Int
  ) async throws -> [LeaseVerdict]

  /// Whether the holder still has each of its leases, and the review is still wanted.
  func stillLeased(_ leases: [Lease], by holder: Holder.ID) async throws -> [Bool]

  /// Notes that the holder prepares a review isolated from all others. If it dies meanwhile, only such reviews are charged with its loss.
  func isolate(_ id: UUID, by holder: Holder.ID) async throws

  /// Notes that the holder has prepared a review that it had isolated.
  func endIsolation(of id: UUID, by holder: Holder.ID) async throws

  /// Records that the worker has accepted reviews, without touching their status.
  /// - Returns: an answer for each record, in order.
  func recordDispatched(_ records: [DispatchRecord], by holder: Holder.ID) async throws -> [RecordAnswer]

  /// Gives the review back to pending, uncounted.
  func postpone(
    _ lease: Lease, reason: String, for delay: Duration, keepingPlace: Bool
  ) async throws -> ReviewStatus?

  /// Gives the review back to pending and counts a failure against it; the last one fails it.
  func retryLater(
    _ lease: Lease, message: String, after delay: Duration, failureMax: Int
  ) async throws -> ReviewStatus?

  /// Leaves the review queued, without a lease, until the delay is over: its dispatch may have succeeded.
  /// - Parameters:
  ///   - lease: what the caller holds; without it nothing changes.
  ///   - message: why, for the row.
  ///   - delay: until it is due again.
  ///   - isCounted: whether a failure is counted against it; the last one fails it.
  ///   - failureMax: the number of failures that fails it.
  func leaveQueued(
    _ lease: Lease, message: String, for delay: Duration, isCounted: Bool, failureMax: Int
  ) async throws -> ReviewStatus?

  /// Fails the review.
  func fail(_ lease: Lease, code: ErrorCode, message: String) async throws -> ReviewStatus?

  /// Drops a lease whose use is not known any more, while its ticket is with its holder.
  func drop(_ lease: Lease) async throws
}

/// What the reaper takes over from holders that are gone, and from a queue that has lost messages.
package protocol RecoveryLedger: Sendable {
  /// Takes a page of abandoned reviews: each is claimed anew for this holder, which publishes it.
  /// - Parameters:
  ///   - times: when a review counts as abandoned.
  ///   - queue: the name of the work queue.
  ///   - limit: of the page; a full page says that there may be more.
  ///   - holder: the process that does it.
  ///   - failureMax: if this many holders have died of a review, it is failed instead.
  func reapAbandoned(
    _ times: ReapTimes, queue: String, limit: Int, by holder: Holder.ID, failureMax: Int
  ) async throws -> [Reaped]

  /// Notes that a reaper has just finished a pass.
  func recordReaperRun() async throws
}

/// The proof that a ticket is lost: every consumer says which tickets it still has to decide on.
package protocol RollCallLedger: Sendable {
  /// Opens a roll call if a published ticket was not leased for two seconds.
  /// - Returns: those that are open and not seen yet, whichever reaper opened them.
  func openRollCall(_ queue: String, heartbeatTimeout: Duration) async throws -> [Int64]

  /// Notes which roll calls are seen: no ticket published before them is ready in the queue any more.
  /// - Parameters:
  ///   - ids: as ``openRollCall(_:heartbeatTimeout:)`` returned them before the broker was asked.
  ///   - isQueueEmpty: whether the broker said that no message is ready.
  ///   - heartbeatTimeout: a holder that is silent for longer is dead.
  func seeRollCalls(_ ids: [Int64], isQueueEmpty: Bool, heartbeatTimeout: Duration) async throws

  /// The roll calls, of any queue, that wait for a consumer's answer.
  /// - Parameters:
  ///   - holder: the process that does it.
  ///   - instant: when it last gave a delivery back, or later: it cannot answer what was opened before.
  /// - Returns: their ids; and the ledger's clock.
  func unansweredRollCalls(of holder: Holder.ID, after instant: Timestamp?) async throws -> (
    now: Timestamp, ids: [Int64]
  )

  /// Answers roll calls that were seen.
  /// - Parameters:
  ///   - ids: of the roll calls.
  ///   - holder: the process that does it.
  ///   - undecided: the reviews whose tickets the consumer has, and may yet give back.
  func answerRollCalls(_ ids: [Int64], by holder: Holder.ID, undecided: [UUID]) async throws

  /// Removes roll calls that are no longer needed.
  func pruneRollCalls() async throws
}

/// Reviews about which the worker should have reported something.
package protocol SilentReviewLedger: Sendable {
  /// Takes silent reviews, which come due again after `lease` unless ``recordAsked(_:)`` says that the worker has answered.
  func takeSilent(_ times: ReapTimes, limit: Int, for lease: Duration) async throws -> [SilentReview]

  /// Notes that the worker has answered: the review is asked about again after the whole time.
  func recordAsked(_ review: SilentReview) async throws

  /// How many reviews the worker should be asked about now, or within a time.
  func silentCount(_ times: ReapTimes, comingDueWithin time: Duration) async throws -> Int

  /// Claims a queued review anew that the worker does not know; nil if it was moved on since it was taken.
  func forgetDispatch(_ review: SilentReview, by holder: Holder.ID) async throws -> Claim?

  /// Fails a running review that the worker no longer knows.
  /// - Returns: false if it was moved on since it was taken.
  func failLost(_ review: SilentReview, message: String) async throws -> Bool

  /// Adds to the counts of what asking the worker has resulted in.
  func countReconciled(_ results: [String: Int]) async throws

  /// Remembers that a worker answers questions about reviews: from then on its "unknown" is evidence.
  func rememberWorkerAnswers(_ url: String) async throws

  /// Whether a worker has ever answered a question about a review.
  func workerHasAnswered(_ url: String) async throws -> Bool
}

/// Which processes live, and how that is judged.
package protocol HolderLedger: Sendable {
  /// The session of its own by which a holder is known to live, and notified. It connects when it is run.
  /// - Parameters:
  ///   - holder: the process that does it.
  ///   - events: what it is notified of.
  ///   - onSignOn: called each time when the holder has signed on, before the session's events say so, with the time at which that began.
  func session(
    of holder: Holder, hearing events: Set<LedgerEvent>,
    onSignOn: @escaping @Sendable (_ start: ContinuousClock.Instant) -> Void
  ) -> any LedgerSession

  /// Enters a holder without a session: its heartbeats alone keep it alive.
  func register(_ holder: Holder) async throws

  /// Says that a holder lives, without its session.
  /// - Returns: not known if the ledger has no such holder (any more).
  func heartbeat(_ id: Holder.ID, _ report: Holder.Report) async throws -> Holder.Standing

  /// Removes a holder: what it still had is free at once.
  func leave(_ id: Holder.ID) async throws

  /// Notes which holders are missed: their session is gone, or they were silent.
  func lookAtHolders() async throws

  /// How long until every holder that was missed is known to be dead or alive; nil if none is missed.
  func timeUntilDeathsAreSure(heartbeatTimeout: Duration) async throws -> Duration?

  /// Removes holders that have been silent for an hour and have nothing left.
  func pruneHolders() async throws
}

/// Cancels that the worker has to accept.
package protocol CancelLedger: Sendable {
  /// Makes a cancel of an attempt due for the worker.
  func addCancel(of id: UUID, attempt: Int) async throws

  /// Takes entries that are due; one that is not settled within `lease` comes due again.
  func takeOutbox(limit: Int, for lease: Duration) async throws -> [OutboxEntry]

  /// Removes an entry that the worker has accepted.
  func deleteOutbox(_ id: Int64) async throws

  /// Notes why an entry was not accepted. It comes due again after the delay, and is given up after a day.
  /// - Returns: whether it is given up.
  func failOutbox(_ id: Int64, error: String, retryAfter delay: Duration) async throws -> Bool

  /// How many entries are due.
  func outboxCount() async throws -> Int

  /// The cancels of a review that the worker has not accepted so far.
  func undeliveredCancels(of id: UUID) async throws -> [UndeliveredCancel]
}

/// What a producer has to wait for.
package struct NextDue: Sendable, Equatable {
  /// Whether a claim may find a review now. If not, only a notification or a time that comes changes that.
  package var isNow: Bool
  /// How long until the next delayed review comes due; nil if none waits for its time. If the time of one has come, and no claim has looked
  /// for it since, it is ``DelayedReviews/overdueWait``.
  package var delay: Duration?

  package init(isNow: Bool, delay: Duration?) {
    self.isNow = isNow
    self.delay = delay
  }
}

/// Reviews that wait for their time.
package enum DelayedReviews {
  /// When a claim should look for one whose time has come already. Not at once: another transaction may have locked it.
  package static let overdueWait: Duration = .milliseconds(50)
}

extension ClaimLedger {
  /// Claims due reviews, delayed ones among them, see ``claim(limit:ownerLimit:by:looksAtDelayed:)``.
  package func claim(limit: Int, ownerLimit: Int, by holder: Holder.ID) async throws -> [Claim] {
    try await claim(limit: limit, ownerLimit: ownerLimit, by: holder, looksAtDelayed: true)
  }
}

extension ReviewOperations {
  /// Inserts a review for this program, with a trace of its own.
  package func submit(_ review: NewReview) async throws -> Submission {
    try await submit(review, trace: TraceContext(), actor: nil)
  }

  /// Cancels a review as a user.
  package func cancel(_ id: UUID) async throws -> OperationAnswer {
    try await cancel(id, code: .cancelledByUser, reason: "cancelled by a user", actor: nil)
  }

  /// Retries a review as a user.
  package func retry(_ id: UUID) async throws -> OperationAnswer {
    try await retry(id, reason: "retried by a user", actor: nil)
  }

  /// Applies what a worker reports, by callback or asked.
  package func report(_ id: UUID, _ report: RunReport) async throws -> ReportAnswer {
    try await apply(report, to: id).answer
  }
}
