package import FoundationEssentials
package import Primitives

/// A row of `code_reviews`: one pull request at one commit, and where its review stands.
package struct Review: Sendable, Identifiable, Codable, Equatable {
  package var id: UUID
  package var ownerType: Owner.Kind
  package var ownerId: String
  package var userId: String?
  package var platform: Platform
  package var platformIntegrationId: UUID?
  package var platformProjectId: Int64?
  /// The platform's number of the repository; nil as long as the repository is known by its name alone.
  package var platformRepositoryId: Int64?
  package var repoFullName: String
  package var prNumber: Int
  package var prUrl: String
  package var prTitle: String
  package var prAuthor: String
  package var baseRef: String
  package var headRef: String
  package var headSha: String
  package var status: ReviewStatus
  package var statusReason: String?
  package var priority: Int
  package var attempt: Int
  package var availableAt: Timestamp
  package var claimedAt: Timestamp?
  package var publishedAt: Timestamp?
  package var republishCount: Int
  package var leaseLosses: Int
  package var leaseOwner: String?
  package var leaseExpiresAt: Timestamp?
  package var dispatchFailures: Int
  package var preparedAt: Timestamp?
  package var dispatchedAt: Timestamp?
  package var sessionId: String?
  package var cliSessionId: String?
  package var agentVersion: String?
  package var previousSessionId: String?
  package var errorCode: String?
  package var errorMessage: String?
  package var startedAt: Timestamp?
  package var completedAt: Timestamp?
  package var createdAt: Timestamp
  package var updatedAt: Timestamp
  package var model: String?
  package var totalTokensIn: Int64?
  package var totalTokensOut: Int64?
  package var totalCostMicrousd: Int64?
  /// The pull request's own time, as the newest webhook gave it.
  package var prUpdatedAt: Timestamp?
  /// GitHub's check run of this attempt.
  package var checkRunId: Int64?
  /// `pass` or `fail`: what the findings mean for the pull request.
  package var gateResult: String?

  package init(
    id: UUID, ownerType: Owner.Kind, ownerId: String, userId: String?, platform: Platform,
    platformIntegrationId:
      UUID?, platformProjectId: Int64?, platformRepositoryId: Int64? = nil, repoFullName: String, prNumber: Int,
    prUrl: String, prTitle: String,
    prAuthor:
      String, baseRef: String, headRef: String, headSha: String, status: ReviewStatus, statusReason: String?,
    priority: Int, attempt: Int, availableAt: Timestamp, claimedAt: Timestamp?, publishedAt: Timestamp?,
    republishCount: Int, leaseLosses: Int, leaseOwner: String?, leaseExpiresAt: Timestamp?, dispatchFailures: Int,
    preparedAt: Timestamp?, dispatchedAt: Timestamp?, sessionId: String?, cliSessionId: String?, agentVersion: String?,
    previousSessionId:
      String?, errorCode: String?, errorMessage: String?, startedAt: Timestamp?, completedAt: Timestamp?,
    createdAt:
      Timestamp, updatedAt: Timestamp, model: String?, totalTokensIn: Int64?, totalTokensOut: Int64?,
    totalCostMicrousd: Int64?, prUpdatedAt: Timestamp? = nil, checkRunId: Int64? = nil, gateResult: String? = nil
  ) {
    self.id = id
    self.ownerType = ownerType
    self.ownerId = ownerId
    self.userId = userId
    self.platform = platform
    self.platformIntegrationId = platformIntegrationId
    self.platformProjectId = platformProjectId
    self.platformRepositoryId = platformRepositoryId
    self.repoFullName = repoFullName
    self.prNumber = prNumber
    self.prUrl = prUrl
    self.prTitle = prTitle
    self.prAuthor = prAuthor
    self.baseRef = baseRef
    self.headRef = headRef
    self.headSha = headSha
    self.status = status
    self.statusReason = statusReason
    self.priority = priority
    self.attempt = attempt
    self.availableAt = availableAt
    self.claimedAt = claimedAt
    self.publishedAt = publishedAt
    self.republishCount = republishCount
    self.leaseLosses = leaseLosses
    self.leaseOwner = leaseOwner
    self.leaseExpiresAt = leaseExpiresAt
    self.dispatchFailures = dispatchFailures
    self.preparedAt = preparedAt
    self.dispatchedAt = dispatchedAt
    self.sessionId = sessionId
    self.cliSessionId = cliSessionId
    self.agentVersion = agentVersion
    self.previousSessionId = previousSessionId
    self.errorCode = errorCode
    self.errorMessage = errorMessage
    self.startedAt = startedAt
    self.completedAt = completedAt
    self.createdAt = createdAt
    self.updatedAt = updatedAt
    self.model = model
    self.totalTokensIn = totalTokensIn
    self.totalTokensOut = totalTokensOut
    self.totalCostMicrousd = totalCostMicrousd
    self.prUpdatedAt = prUpdatedAt
    self.checkRunId = checkRunId
    self.gateResult = gateResult
  }

  package var owner: Owner { Owner(type: ownerType, id: ownerId) }
}

/// One change of a review's status, as the database recorded it.
package struct ReviewTransition: Sendable, Codable, Equatable {
  package var at: Timestamp
  package var fromStatus: ReviewStatus?
  package var toStatus: ReviewStatus
  package var reason: String?
  package var actor: String?

  package init(at: Timestamp, fromStatus: ReviewStatus?, toStatus: ReviewStatus, reason: String?, actor: String?) {
    self.at = at
    self.fromStatus = fromStatus
    self.toStatus = toStatus
    self.reason = reason
    self.actor = actor
  }
}

/// The right to dispatch a review now, with what its payload is made of: the columns, the owner's configuration and the
/// integration as they were when the lease was taken.
package struct LeasedReview: Sendable, Equatable {
  package var id: UUID
  package var attempt: Int
  package var owner: Owner
  package var userId: String?
  package var platform: Platform
  package var platformIntegrationId: UUID?
  package var platformProjectId: Int64?
  package var repoFullName: String
  package var prNumber: Int
  package var prUrl: String
  package var prTitle: String
  package var prAuthor: String
  package var baseRef: String
  package var headRef: String
  package var headSha: String
  /// The session of the review before this one: the row's own, or else of the same pull request's newest completed review at
  /// another commit.
  package var previousSessionId: String?
  /// The commit that was reviewed in that session; nil if no completed review of this pull request had it.
  package var previousHeadSha: String?
  /// When the producer claimed it: from the database's clock, as are the two that follow.
  package var claimedAt: Timestamp
  package var leasedAt: Timestamp
  /// When the lease ends; recognises it.
  package var leasedUntil: Timestamp
  package var dispatchFailures: Int
  /// How many holders died while they had it: from 3 on it is prepared apart from the others, at its last chance alone.
  package var leaseLosses: Int
  /// How often this attempt may have been started without an answer that says so. Above 0 the worker is asked first.
  package var unclearStarts: Int
  /// The text of `agent_configs.config`; nil if the owner has no enabled configuration, or one that is too large to be read.
  package var configuration: String?
  /// The size of that text; nil if the owner has no enabled configuration.
  package var configurationByteCount: Int?
  /// nil if the review names none, or if the one it names does not exist (see ``platformIntegrationId``).
  package var integration: Integration?

  package init(
    id: UUID, attempt: Int, owner: Owner, userId: String? = nil, platform: Platform = .github,
    platformIntegrationId: UUID? = nil, platformProjectId: Int64? = nil, repoFullName: String, prNumber: Int,
    prUrl: String, prTitle: String, prAuthor: String, baseRef: String, headRef: String, headSha: String,
    previousSessionId: String? = nil, previousHeadSha: String? = nil, claimedAt: Timestamp, leasedAt: Timestamp,
    leasedUntil: Timestamp? = nil, dispatchFailures: Int = 0, leaseLosses: Int = 0, unclearStarts: Int = 0,
    configuration: String?, configurationByteCount: Int? = nil, integration: Integration? = nil
  ) {
    self.id = id
    self.attempt = attempt
    self.owner = owner
    self.userId = userId
    self.platform = platform
    self.platformIntegrationId = platformIntegrationId
    self.platformProjectId = platformProjectId
    self.repoFullName = repoFullName
    self.prNumber = prNumber
    self.prUrl = prUrl
    self.prTitle = prTitle
    self.prAuthor = prAuthor
    self.baseRef = baseRef
    self.headRef = headRef
    self.headSha = headSha
    self.previousSessionId = previousSessionId
    self.previousHeadSha = previousHeadSha
    self.claimedAt = claimedAt
    self.leasedAt = leasedAt
    self.leasedUntil = leasedUntil ?? leasedAt
    self.dispatchFailures = dispatchFailures
    self.leaseLosses = leaseLosses
    self.unclearStarts = unclearStarts
    self.configuration = configuration
    self.configurationByteCount = configurationByteCount ?? configuration?.utf8.count
    self.integration = integration
  }
}

/// A row of `platform_integrations`: the way to an owner's repositories. Its secrets are ciphertext here.
package struct Integration: Sendable, Equatable {
  package var id: UUID
  package var installationId: String?
  package var instanceUrl: String?
  package var tokenCiphertext: [UInt8]?
  /// The text of `metadata`.
  package var metadata: String?
  package var isRevoked: Bool

  package init(
    id: UUID, installationId: String? = nil, instanceUrl: String? = nil, tokenCiphertext: [UInt8]? = nil,
    metadata: String? = nil, isRevoked: Bool = false
  ) {
    self.id = id
    self.installationId = installationId
    self.instanceUrl = instanceUrl
    self.tokenCiphertext = tokenCiphertext
    self.metadata = metadata
    self.isRevoked = isRevoked
  }
}
