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
  package enum TicketOutcome: String, Sendable, CaseIterable {
    /// The worker has the review.
    case dispatched
    /// Another delivery or process has decided it.
    case duplicate
    /// Pending again, after a counted failure.
    case retry
    case failed
    /// The worker may have it: it stays queued, and the worker is asked.
    case ambiguous
    /// No ticket, or one that came too often: a dead letter.
    case poison
    /// Pending again without a failure, or given back to the broker.
    case returned
  }

  /// Label `result` of `baton_spans_total`.
  package enum SpanResult: String, Sendable, CaseIterable {
    /// The collector has them.
    case exported
    /// The collector does not want them.
    case refused
    /// There was no place for them, or no time at the end of the process.
    case dropped
  }

  /// Label `result` of `baton_reconciled_total`.
  package enum ReconcileResult: String, Sendable, CaseIterable {
    /// Queued or running at the worker: it goes on.
    case alive
    /// Ended at the worker: its answer was recorded.
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
    case ticketsRefused = "tickets_refused"
    case databaseAway = "database_away"
    case notSignedOn = "not_signed_on"
    case rateLimited = "rate_limited"
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
