package import CoreMetrics
internal import Reviews
internal import Synchronization

/// Every metric of Baton: its name, unit, labels and buckets, and the handle that writes it. The only place that defines them.
///
/// All series exist from the start with 0, so that a rate over the first event is not lost; only what is measured outside
/// of the process is absent until it has been measured (`MetricDefinition.Kind.measured`). Labels never hold an owner,
/// a repository or an id.
package struct BatonMetrics: Sendable {
  /// Tickets ready in the work queue.
  package let queueMessagesReady: MetricGauge
  /// Tickets delivered and not settled.
  package let queueMessagesUnacked: MetricGauge
  /// Consumers of the work queue.
  package let queueConsumers: MetricGauge
  /// Messages in the dead-letter queue.
  package let deadMessages: MetricGauge
  /// Reviews that have not ended, by status.
  package let reviews: MetricGauges<ActiveStatus>
  /// Age of the oldest review that may be claimed.
  package let oldestPendingSeconds: MetricGauge
  /// Age of the oldest queued review that was not dispatched.
  package let oldestQueuedSeconds: MetricGauge
  /// Age of the oldest review that its owner's limit lets be claimed.
  package let oldestClaimableSeconds: MetricGauge
  /// Age of the oldest running review.
  package let oldestRunningSeconds: MetricGauge
  /// Due reviews that wait for their owner.
  package let heldBack: MetricGauges<HoldReason>
  /// When a reaper last finished a pass.
  package let reaperLastRun: MetricGauge
  /// Reviews claimed.
  package let claimed: MetricCounter
  /// Tickets published, by outcome.
  package let published: MetricCounters<PublishResult>
  /// From publish to confirm.
  package let publishConfirmSeconds: MetricTimer
  /// Deliveries, by outcome.
  package let deliveries: MetricCounters<DeliveryOutcome>
  /// From lease to payload.
  package let prepareSeconds: MetricTimer
  /// One call of the worker.
  package let dispatchSeconds: MetricTimer
  /// From claim to delivery.
  package let queueWaitSeconds: MetricTimer
  /// Reviews that this process prepares or dispatches.
  package let inflightReviews: MetricGauge
  /// Reviews that this process may prepare and dispatch at once.
  package let consumerSlots: MetricGauge
  /// Reviews whose end this process recorded.
  package let ended: MetricCounters<End>
  /// Reviews taken up again by a reaper.
  package let reaped: MetricCounters<ReapReason>
  /// Silent reviews that the worker was asked about.
  package let reconciled: MetricCounters<ReconcileResult>
  /// Reviews that completed, whichever process recorded it.
  package let reviewsCompleted: MetricGauge
  /// Reviews that failed, whichever process recorded it.
  package let reviewsFailed: MetricGauges<FailureCode>
  /// Reviews taken up again by any reaper.
  package let reviewsReaped: MetricGauges<ReapReason>
  /// Silent reviews that any reaper has asked the worker about.
  package let reviewsReconciled: MetricGauges<ReconcileResult>
  /// Cancels that the worker never accepted, whichever process gave them up.
  package let cancelsGivenUp: MetricGauge
  /// 1 while a target's circuit is not closed.
  package let circuitOpen: MetricGauges<CircuitTarget>
  /// Connections to the broker made again.
  package let amqpReconnects: MetricCounter
  /// Connections to Postgres made again.
  package let postgresReconnects: MetricCounter
  /// Log lines that could not be written.
  package let logLinesDropped: MetricGauge
  private let httpRequests: HTTPRequestCounters

  /// Makes all handles and so all series.
  package init(factory: any MetricsFactory) {
    queueMessagesReady = MetricGauge(.queueMessagesReady, factory)
    queueMessagesUnacked = MetricGauge(.queueMessagesUnacked, factory)
    queueConsumers = MetricGauge(.queueConsumers, factory)
    deadMessages = MetricGauge(.deadMessages, factory)
    reviews = MetricGauges(.reviews, factory)
    oldestPendingSeconds = MetricGauge(.oldestPendingSeconds, factory)
    oldestQueuedSeconds = MetricGauge(.oldestQueuedSeconds, factory)
    oldestClaimableSeconds = MetricGauge(.oldestClaimableSeconds, factory)
    oldestRunningSeconds = MetricGauge(.oldestRunningSeconds, factory)
    heldBack = MetricGauges(.heldBack, factory)
    reaperLastRun = MetricGauge(.reaperLastRun, factory)
    claimed = MetricCounter(.claimed, factory)
    published = MetricCounters(.published, factory)
    publishConfirmSeconds = MetricTimer(.publishConfirmSeconds, factory)
    deliveries = MetricCounters(.deliveries, factory)
    prepareSeconds = MetricTimer(.prepareSeconds, factory)
    dispatchSeconds = MetricTimer(.dispatchSeconds, factory)
    queueWaitSeconds = MetricTimer(.queueWaitSeconds, factory)
    inflightReviews = MetricGauge(.inflightReviews, factory)
    consumerSlots = MetricGauge(.consumerSlots, factory)
    ended = MetricCounters(.ended, factory)
    reaped = MetricCounters(.reaped, factory)
    reconciled = MetricCounters(.reconciled, factory)
    reviewsCompleted = MetricGauge(.reviewsCompleted, factory)
    reviewsFailed = MetricGauges(.reviewsFailed, factory)
    reviewsReaped = MetricGauges(.reviewsReaped, factory)
    reviewsReconciled = MetricGauges(.reviewsReconciled, factory)
    cancelsGivenUp = MetricGauge(.cancelsGivenUp, factory)
    circuitOpen = MetricGauges(.circuitOpen, factory)
    amqpReconnects = MetricCounter(.amqpReconnects, factory)
    postgresReconnects = MetricCounter(.postgresReconnects, factory)
    logLinesDropped = MetricGauge(.logLinesDropped, factory)
    logLinesDropped.set(0)
    httpRequests = HTTPRequestCounters(.httpRequests, factory)
  }

  /// The counter of answered HTTP requests of a route and a status.
  /// - Parameter status: 100 to 599; anything else counts as 599.
  package func httpRequest(_ route: HTTPRoute, status: Int) -> MetricCounter { httpRequests[route, status] }
}

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
      ErrorCode.allCases.filter { $0 != .superseded && $0 != .cancelledByUser }.map { FailureCode($0.rawValue) } + [
        other
      ]

    private init(_ rawValue: String) { self.rawValue = rawValue }

    package init?(rawValue: String) {
      guard Self.allCases.contains(where: { $0.rawValue == rawValue }) else { return nil }
      self.rawValue = rawValue
    }
  }

  /// Label `target` of `baton_circuit_open`.
  package enum CircuitTarget: String, Sendable, CaseIterable { case worker, github, gitlab }

  /// Label `route` of `baton_http_requests_total`: the template of a path, never the path.
  package enum HTTPRoute: String, Sendable, CaseIterable {
    case reviews = "/api/reviews"
    case review = "/api/reviews/{id}"
    case cancel = "/api/reviews/{id}/cancel"
    case retry = "/api/reviews/{id}/retry"
    case stats = "/api/stats"
    case openAPI = "/api/openapi.json"
    case callback = "/api/internal/code-review-status/{id}"
    case githubWebhook = "/webhooks/github"
    case gitlabWebhook = "/webhooks/gitlab/{integrationId}"
    case dashboard = "/"
    case reviewList = "/reviews"
    case deadLetters = "/dead-letters"
    case retryPage = "/reviews/{id}/retry"
    case pauseOwner = "/owners/pause"
    case resumeOwner = "/owners/resume"
    case live = "/live"
    case login = "/login"
    case logout = "/logout"
    case asset = "/assets/{name}"
    case metrics = "/metrics"
    case livez = "/livez"
    case readyz = "/readyz"
    case workerStart = "/review"
    case workerReview = "/reviews/{id}"
    case workerEvents = "/reviews/{id}/events"
    case workerCancel = "/reviews/{id}/cancel"
    case workerHealth = "/health"
    case other

    /// The dashboard has two of the worker's paths.
    package static let reviewPage = HTTPRoute.workerReview
    package static let cancelPage = HTTPRoute.workerCancel

    /// The statuses whose series exist from the start: what the route answers without a fault, and 500.
    var expectedStatuses: [Int] {
      switch self {
      case .reviews: [200, 201, 500]
      case .cancel, .retry, .workerStart: [202, 500]
      case .githubWebhook, .gitlabWebhook: [200, 202, 500]
      case .readyz: [200, 503]
      case .retryPage, .pauseOwner, .resumeOwner, .login, .logout: [303, 500]
      case .other: [404, 500]
      default: [200, 500]
      }
    }
  }
}

extension BatonMetrics {
  /// All metrics, in the order of the documentation.
  package static let definitions: [MetricDefinition] = [
    .queueMessagesReady, .queueMessagesUnacked, .queueConsumers, .deadMessages, .reviews, .oldestPendingSeconds,
    .oldestQueuedSeconds, .oldestClaimableSeconds, .oldestRunningSeconds, .heldBack, .reaperLastRun, .claimed,
    .published, .publishConfirmSeconds, .deliveries, .prepareSeconds, .dispatchSeconds,
    .queueWaitSeconds, .inflightReviews, .consumerSlots, .ended, .reaped, .reconciled, .reviewsCompleted,
    .reviewsFailed, .reviewsReaped, .reviewsReconciled, .cancelsGivenUp, .circuitOpen, .amqpReconnects,
    .postgresReconnects, .logLinesDropped,
    .httpRequests,
  ]

  /// The definitions as the table of the page `Metrics.md`.
  package static var markdownTable: String {
    let rows = definitions.map { definition in
      let labels = definition.labels.map { name, values in
        values.isEmpty ? "`\(name)`" : "`\(name)`: \(values.joined(separator: ", "))"
      }
      let kind = definition.kind.name
      return
        "| `\(definition.name)` | \(kind), \(definition.unit) | \(labels.joined(separator: "; ")) | \(definition.help) |"
    }
    return (["| metric | kind, unit | labels | meaning |", "|---|---|---|---|"] + rows).joined(separator: "\n") + "\n"
  }
}

extension MetricDefinition {
  /// Round trips within a machine room: 1 ms to 10 s.
  private static let roundTrip = Kind.histogram(
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
  /// Work with calls to platforms and workers: 10 ms to a minute.
  private static let call = Kind.histogram(
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60])
  /// Waiting in line: 10 ms to an hour.
  private static let wait = Kind.histogram(
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600])

  private static func values<Label: CaseIterable & RawRepresentable<String>>(_: Label.Type) -> [String] {
    Label.allCases.map(\.rawValue)
  }

  static let queueMessagesReady = MetricDefinition(
    "baton_queue_messages_ready", .measured, unit: "messages", help: "Tickets ready in the work queue.")
  static let queueMessagesUnacked = MetricDefinition(
    "baton_queue_messages_unacked", .measured, unit: "messages",
    help: "Tickets that live consumers hold unacknowledged, by their own reports.")
  static let queueConsumers = MetricDefinition(
    "baton_queue_consumers", .measured, unit: "consumers", help: "Consumers of the work queue.")
  static let deadMessages = MetricDefinition(
    "baton_dead_messages", .measured, unit: "messages", help: "Messages in the dead-letter queue.")
  static let reviews = MetricDefinition(
    "baton_reviews", .measured, unit: "reviews", help: "Reviews that have not ended, by status.",
    labels: ["status": values(BatonMetrics.ActiveStatus.self)])
  static let oldestPendingSeconds = MetricDefinition(
    "baton_oldest_pending_seconds", .measured, unit: "seconds", help: "Age of the oldest pending review that is due.")
  static let oldestQueuedSeconds = MetricDefinition(
    "baton_oldest_queued_seconds", .measured, unit: "seconds",
    help: "Age of the oldest queued review that was not dispatched.")
  static let oldestClaimableSeconds = MetricDefinition(
    "baton_oldest_claimable_seconds", .measured, unit: "seconds",
    help: "Age of the oldest due review whose owner is not paused and has a free slot.")
  static let oldestRunningSeconds = MetricDefinition(
    "baton_oldest_running_seconds", .measured, unit: "seconds",
    help: "Time since the oldest running review was started.")
  static let heldBack = MetricDefinition(
    "baton_reviews_held_back", .measured, unit: "reviews", help: "Due reviews that wait for their owner.",
    labels: ["reason": values(BatonMetrics.HoldReason.self)])
  static let reaperLastRun = MetricDefinition(
    "baton_reaper_last_run_timestamp_seconds", .measured, unit: "seconds",
    help: "When a reaper, of whatever process, last finished a pass with Postgres and the broker: Unix time.")
  static let claimed = MetricDefinition(
    "baton_claimed_total", .counter, unit: "reviews", help: "Reviews claimed by this producer.")
  static let published = MetricDefinition(
    "baton_published_total", .counter, unit: "messages", help: "Tickets published, by outcome.",
    labels: ["result": values(BatonMetrics.PublishResult.self)])
  static let publishConfirmSeconds = MetricDefinition(
    "baton_publish_confirm_seconds", roundTrip, unit: "seconds", help: "Time from publish to the broker's confirm.")
  static let deliveries = MetricDefinition(
    "baton_deliveries_total", .counter, unit: "deliveries", help: "Deliveries settled, by outcome.",
    labels: ["outcome": values(BatonMetrics.DeliveryOutcome.self)])
  static let prepareSeconds = MetricDefinition(
    "baton_prepare_seconds", call, unit: "seconds", help: "Time from the lease to the finished payload.")
  static let dispatchSeconds = MetricDefinition(
    "baton_dispatch_seconds", call, unit: "seconds", help: "Time of one call of the worker.")
  static let queueWaitSeconds = MetricDefinition(
    "baton_queue_wait_seconds", wait, unit: "seconds", help: "Time from a review's claim to its delivery.")
  static let inflightReviews = MetricDefinition(
    "baton_inflight_reviews", .gauge, unit: "reviews", help: "Reviews that this process prepares or dispatches.")
  static let consumerSlots = MetricDefinition(
    "baton_consumer_slots", .gauge, unit: "reviews",
    help: "Reviews that this process may prepare and dispatch at once.")
  static let ended = MetricDefinition(
    "baton_ended_total", .counter, unit: "reviews",
    help: "Reviews that completed or failed, counted by the process that recorded it.",
    labels: ["status": values(BatonMetrics.End.self)])
  static let reaped = MetricDefinition(
    "baton_reaped_total", .counter, unit: "reviews", help: "Abandoned reviews taken up again, by what had happened.",
    labels: ["reason": values(BatonMetrics.ReapReason.self)])
  static let reconciled = MetricDefinition(
    "baton_reconciled_total", .counter, unit: "reviews", help: "Silent reviews that the worker was asked about.",
    labels: ["result": values(BatonMetrics.ReconcileResult.self)])
  static let reviewsCompleted = MetricDefinition(
    "baton_reviews_completed_total", .total, unit: "reviews",
    help: "Reviews that completed, by the database's count: whichever process recorded it.")
  static let reviewsFailed = MetricDefinition(
    "baton_reviews_failed_total", .total, unit: "reviews",
    help: "Reviews that failed, by the database's count: whichever process decided it, one that cron ran, too.",
    labels: ["error_code": values(BatonMetrics.FailureCode.self)])
  static let reviewsReaped = MetricDefinition(
    "baton_reviews_reaped_total", .total, unit: "reviews",
    help: "Abandoned reviews taken up again, by the database's count: by whichever reaper.",
    labels: ["reason": values(BatonMetrics.ReapReason.self)])
  static let reviewsReconciled = MetricDefinition(
    "baton_reviews_reconciled_total", .total, unit: "reviews",
    help: "Silent reviews that the worker was asked about, by the database's count: by whichever reaper.",
    labels: ["result": values(BatonMetrics.ReconcileResult.self)])
  static let cancelsGivenUp = MetricDefinition(
    "baton_reviews_cancels_given_up_total", .total, unit: "cancels",
    help: "Cancels that the worker did not accept for a day, by the database's count.")
  static let circuitOpen = MetricDefinition(
    "baton_circuit_open", .gauge, unit: "0 or 1", help: "1 while calls to a target are held back.",
    labels: ["target": values(BatonMetrics.CircuitTarget.self)])
  static let amqpReconnects = MetricDefinition(
    "baton_amqp_reconnects_total", .counter, unit: "connections", help: "Connections to the broker made again.")
  static let postgresReconnects = MetricDefinition(
    "baton_postgres_reconnects_total", .counter, unit: "connections", help: "Connections to Postgres made again.")
  static let logLinesDropped = MetricDefinition(
    "baton_log_lines_dropped_total", .total, unit: "lines",
    help: "Log lines that were lost, as standard error could not be written, or not fast enough.")
  static let httpRequests = MetricDefinition(
    "baton_http_requests_total", .counter, unit: "requests", help: "HTTP requests answered.",
    labels: ["route": [], "status": []])
}
