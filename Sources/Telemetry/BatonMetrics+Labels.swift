internal import Reviews

extension BatonMetrics {
  /// Label `status` of `baton_reviews`.
  package enum ActiveStatus: String, Sendable, CaseIterable { case pending, queued, running }

  /// Label `reason` of `baton_reviews_held_back`.
  package enum HoldReason: String, Sendable, CaseIterable {
    /// The owner has as many queued and running as its limit allows.
    case ownerLimit = "owner_limit"
    /// The owner is paused.
    case paused
  }

  /// Label `status` of `baton_ended_total`.
  package enum End: String, Sendable, CaseIterable { case completed, failed }

  /// Label `result` of `baton_published_total`.
  package enum PublishResult: String, Sendable, CaseIterable { case confirmed, nacked, returned, failed }

  /// Label `outcome` of `baton_deliveries_total`.
  package enum DeliveryOutcome: String, Sendable, CaseIterable {
    case dispatched, duplicate, retry, failed, ambiguous, poison, returned
  }

  /// Label `reason` of `baton_reaped_total`.
  package enum ReapReason: String, Sendable, CaseIterable {
    case unpublished, stale, lost
    case leaseExpired = "lease_expired"
  }

  /// Label `result` of `baton_reconciled_total`.
  package enum ReconcileResult: String, Sendable, CaseIterable {
    /// Queued or running at the worker: it goes on.
    case alive
    /// Ended at the worker: its word was taken.
    case completed, failed, cancelled
    /// Unknown to the worker: published again, or failed as `worker_lost`.
    case republished, lost
    /// The worker gave no answer that is evidence.
    case unanswered
  }

  /// Label `error_code` of `baton_reviews_failed_total`.
  package struct FailureCode: RawRepresentable, CaseIterable, Hashable, Sendable {
    package let rawValue: String

    /// What an operator has written with SQL, or a newer version.
    package static let other = FailureCode("other")
    /// Those with which a review fails; the others belong to cancelled ones.
    package static let allCases =
      ErrorCode.allCases.filter { ![.superseded, .cancelledByUser, .repositoryRemoved].contains($0) }
      .map { FailureCode($0.rawValue) } + [other]

    private init(_ rawValue: String) { self.rawValue = rawValue }

    package init?(rawValue: String) {
      guard Self.allCases.contains(where: { $0.rawValue == rawValue }) else { return nil }
      self.rawValue = rawValue
    }
  }

  /// Label `cause` of `baton_process_faults`.
  package enum FaultCause: String, Sendable, CaseIterable {
    case circuit, other
    case brokerBlocked = "broker_blocked"
    case brokerAway = "broker_away"
    case databaseAway = "database_away"
    case notSignedOn = "not_signed_on"
  }

  /// Label `target` of `baton_circuit_open`.
  package enum CircuitTarget: String, Sendable, CaseIterable { case worker, github, gitlab }

  /// Label `finding` of `baton_catch_up_found_total`.
  package enum CatchUpFinding: String, Sendable, CaseIterable {
    /// A delivery that GitHub could not deliver, and was asked to repeat.
    case redelivered
    /// An open pull request whose newest commit had no review.
    case unreviewed
  }
}
