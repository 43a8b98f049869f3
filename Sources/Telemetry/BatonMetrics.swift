package import CoreMetrics
package import Reviews

/// Every metric of Baton: the handle that writes it, with its name, unit, labels and buckets. The only place that defines them: a metric is one
/// property here, and one row of `Metrics.md` in `baton.docc`, which a test checks.
///
/// All series exist from the start with 0, so that a rate over the first event is not lost; only what is measured outside
/// of the process is absent until it has been measured (`MetricDefinition.Kind.measured`). Labels never hold an owner,
/// a repository or an id.
package struct BatonMetrics: Sendable {
  /// Tickets ready in the work queue.
  package private(set) var queueMessagesReady = MetricGauge(
    "baton_queue_messages_ready", .measured, unit: "messages", help: "Tickets ready in the work queue.")
  /// Tickets delivered and not settled.
  package private(set) var queueMessagesUnacked = MetricGauge(
    "baton_queue_messages_unacked", .measured, unit: "messages",
    help: "Tickets that live consumers hold unacknowledged, by their own reports.")
  /// Consumers of the work queue.
  package private(set) var queueConsumers = MetricGauge(
    "baton_queue_consumers", .measured, unit: "consumers", help: "Consumers of the work queue.")
  /// Messages in the dead-letter queue.
  package private(set) var deadMessages = MetricGauge(
    "baton_dead_messages", .measured, unit: "messages", help: "Messages in the dead-letter queue.")
  /// Reviews that have not ended, by status.
  package private(set) var reviews = MetricGauges<ActiveStatus>(
    "baton_reviews", .measured, label: "status", unit: "reviews", help: "Reviews that have not ended, by status.")
  /// Age of the oldest review that may be claimed.
  package private(set) var oldestPendingSeconds = MetricGauge(
    "baton_oldest_pending_seconds", .measured, unit: "seconds", help: "Age of the oldest pending review that is due.")
  /// Age of the oldest queued review that was not dispatched.
  package private(set) var oldestQueuedSeconds = MetricGauge(
    "baton_oldest_queued_seconds", .measured, unit: "seconds",
    help: "Age of the oldest queued review that was not dispatched.")
  /// Age of the oldest review that its owner's limit lets be claimed.
  package private(set) var oldestClaimableSeconds = MetricGauge(
    "baton_oldest_claimable_seconds", .measured, unit: "seconds",
    help: "How long the oldest due review could have been claimed: its owner is not paused and has a free slot.")
  /// Age of the oldest running review.
  package private(set) var oldestRunningSeconds = MetricGauge(
    "baton_oldest_running_seconds", .measured, unit: "seconds",
    help: "Time since the oldest running review was started.")
  /// Due reviews that wait for their owner.
  package private(set) var heldBack = MetricGauges<HoldReason>(
    "baton_reviews_held_back", .measured, label: "reason", unit: "reviews",
    help: "Due reviews that wait for their owner.")
  /// When a reaper last finished a pass.
  package private(set) var reaperLastRun = MetricGauge(
    "baton_reaper_last_run_timestamp_seconds", .measured, unit: "seconds",
    help: "When a reaper, of whatever process, last finished a pass with Postgres and the broker: Unix time.")
  /// Reviews claimed.
  package private(set) var claimed = MetricCounter(
    "baton_claimed_total", unit: "reviews", help: "Reviews claimed by this producer.")
  /// Tickets published, by outcome.
  package private(set) var published = MetricCounters<PublishResult>(
    "baton_published_total", label: "result", unit: "messages", help: "Tickets published, by outcome.")
  /// From publish to confirm.
  package private(set) var publishConfirmSeconds = MetricTimer(
    "baton_publish_confirm_seconds", buckets: .roundTrip, unit: "seconds",
    help: "Time from publish to the broker's confirm.")
  /// Deliveries, by outcome.
  package private(set) var deliveries = MetricCounters<TicketOutcome>(
    "baton_deliveries_total", label: "outcome", unit: "deliveries", help: "Deliveries settled, by outcome.")
  /// From lease to payload.
  package private(set) var prepareSeconds = MetricTimer(
    "baton_prepare_seconds", buckets: .call, unit: "seconds", help: "Time from the lease to the finished payload.")
  /// One call to the worker.
  package private(set) var dispatchSeconds = MetricTimer(
    "baton_dispatch_seconds", buckets: .call, unit: "seconds", help: "Time of one call to the worker.")
  /// From claim to delivery.
  package private(set) var queueWaitSeconds = MetricTimer(
    "baton_queue_wait_seconds", buckets: .wait, unit: "seconds", help: "Time from a review's claim to its delivery.")
  /// From claim to the worker's acceptance.
  package private(set) var dispatchDelaySeconds = MetricTimer(
    "baton_dispatch_delay_seconds", buckets: .wait, unit: "seconds",
    help: "Time from a review's claim until the worker has accepted it, recorded once for each dispatch.")
  /// Reviews that this process prepares or dispatches.
  package private(set) var inflightReviews = MetricGauge(
    "baton_inflight_reviews", .gauge, unit: "reviews", help: "Reviews that this process prepares or dispatches.")
  /// Reviews that this process may prepare and dispatch at once.
  package private(set) var consumerSlots = MetricGauge(
    "baton_consumer_slots", .gauge, unit: "reviews", help: "Reviews that this process may prepare and dispatch at once."
  )
  /// Reviews whose end this process recorded.
  package private(set) var ended = MetricCounters<End>(
    "baton_ended_total", label: "status", unit: "reviews",
    help: "Reviews that completed or failed, counted by the process that recorded it.")
  /// Reviews taken up again by a reaper.
  package private(set) var reaped = MetricCounters<ReapReason>(
    "baton_reaped_total", label: "reason", unit: "reviews",
    help: "Abandoned reviews taken up again, by what had happened.")
  /// Silent reviews that the worker was asked about.
  package private(set) var reconciled = MetricCounters<ReconcileResult>(
    "baton_reconciled_total", label: "result", unit: "reviews", help: "Silent reviews that the worker was asked about.")
  /// Reviews that completed, whichever process recorded it.
  package private(set) var reviewsCompleted = MetricGauge(
    "baton_reviews_completed_total", .total, unit: "reviews",
    help: "Reviews that completed, by the database's count: whichever process recorded it.")
  /// Reviews that failed, whichever process recorded it.
  package private(set) var reviewsFailed = MetricGauges<FailureCode>(
    "baton_reviews_failed_total", .total, label: "error_code", unit: "reviews",
    help: "Reviews that failed, by the database's count: whichever process decided it, one that cron ran, too.")
  /// Reviews taken up again by any reaper.
  package private(set) var reviewsReaped = MetricGauges<ReapReason>(
    "baton_reviews_reaped_total", .total, label: "reason", unit: "reviews",
    help: "Abandoned reviews taken up again, by the database's count: by whichever reaper.")
  /// Silent reviews that any reaper has asked the worker about.
  package private(set) var reviewsReconciled = MetricGauges<ReconcileResult>(
    "baton_reviews_reconciled_total", .total, label: "result", unit: "reviews",
    help: "Silent reviews that the worker was asked about, by the database's count: by whichever reaper.")
  /// Cancels that the worker never accepted, whichever process gave them up.
  package private(set) var cancelsGivenUp = MetricGauge(
    "baton_reviews_cancels_given_up_total", .total, unit: "cancels",
    help: "Cancels that the worker did not accept for a day, by the database's count.")
  /// Webhooks that could not be processed, whichever process gave them up.
  package private(set) var webhooksGivenUp = MetricGauge(
    "baton_webhooks_given_up_total", .total, unit: "webhooks",
    help: "Webhooks that could not be processed and were given up, by the database's count.")
  /// What catch-up has found.
  package private(set) var caughtUp = MetricGauges<CatchUpFinding>(
    "baton_catch_up_found_total", .total, label: "finding", unit: "findings",
    help: "What no webhook had reported, by the database's count: found by any process.")
  /// 1 while a target's circuit is not closed.
  package private(set) var circuitOpen = MetricGauges<CircuitTarget>(
    "baton_circuit_open", .gauge, label: "target", unit: "0 or 1", help: "1 while calls to a target are held back.")
  /// What is left of the limits of platforms.
  package private(set) var rateLimitLeft = MetricGauges<Platform>(
    "baton_rate_limit_left_ratio", .measured, label: "platform", unit: "ratio",
    help:
      "The least share of its rate limit that any integration of a platform has left, by the answers that this process got; absent while none says it."
  )
  /// Connections to the broker made again.
  package private(set) var amqpReconnects = MetricCounter(
    "baton_amqp_reconnects_total", unit: "connections", help: "Connections to the broker made again.")
  /// Connections to Postgres made again.
  package private(set) var postgresReconnects = MetricCounter(
    "baton_postgres_reconnects_total", unit: "connections", help: "Connections to Postgres made again.")
  /// Log lines that could not be written.
  package private(set) var logLinesDropped = MetricGauge(
    "baton_log_lines_dropped_total", .total, unit: "lines",
    help: "Log lines that were lost, as standard error could not be written, or not fast enough.")
  /// Spans of traces, by outcome.
  package private(set) var spans = MetricCounters<SpanResult>(
    "baton_spans_total", label: "result", unit: "spans",
    help: "Spans of traces: exported, refused by the collector, or dropped as it took too few.")
  /// For how long nothing was dispatched while reviews are due.
  package private(set) var dispatchStalledSeconds = MetricGauge(
    "baton_dispatch_stalled_seconds", .measured, unit: "seconds",
    help: "For how long no consumer has dispatched anything while reviews are due; 0 if this is not the case.")
  /// Living processes that report a fault, by its cause.
  package private(set) var processFaults = MetricGauges<FaultCause>(
    "baton_process_faults", .measured, label: "cause", unit: "processes",
    help: "Living processes that report a fault with their heartbeat, by its cause.")
  /// 1 while the broker takes no messages from this process.
  package private(set) var brokerBlocked = MetricGauge(
    "baton_broker_blocked", .gauge, unit: "0 or 1",
    help: "1 while the broker takes no messages from this process: it has a memory or disk alarm.")
  /// What the last heartbeat of this process took.
  package private(set) var postgresRoundTripSeconds = MetricGauge(
    "baton_postgres_round_trip_seconds", .measured, unit: "seconds",
    help: "Time that the last heartbeat of this process took: one statement for one row.")
  /// Cancels that the worker has not accepted yet.
  package private(set) var cancelsUndelivered = MetricGauge(
    "baton_cancels_undelivered", .measured, unit: "cancels", help: "Cancels that the worker has not accepted yet.")
  /// Webhooks that are stored and not processed.
  package private(set) var webhooksUnprocessed = MetricGauge(
    "baton_webhooks_unprocessed", .measured, unit: "webhooks", help: "Webhooks that are stored and not processed yet.")
  /// Age of the oldest of them.
  package private(set) var oldestWebhookSeconds = MetricGauge(
    "baton_oldest_webhook_seconds", .measured, unit: "seconds",
    help: "Age of the oldest webhook that is stored and not processed yet; 0 if there is none.")
  /// Feedback that is due and not delivered.
  package private(set) var feedbackUndelivered = MetricGauge(
    "baton_feedback_undelivered", .measured, unit: "messages",
    help: "Reactions and checks that are due on a pull request, or have failed and are tried again.")
  /// Age of the oldest of it.
  package private(set) var oldestFeedbackSeconds = MetricGauge(
    "baton_oldest_feedback_seconds", .measured, unit: "seconds",
    help: "For how long the oldest undelivered reaction or check could not be delivered; 0 if there is none.")
  /// Feedback that was given up.
  package private(set) var feedbackGivenUp = MetricGauge(
    "baton_feedback_given_up", .measured, unit: "messages",
    help: "Reactions and checks that could not be delivered and were given up.")
  /// Events that their endpoints have not accepted yet.
  package private(set) var eventsUndelivered = MetricGauge(
    "baton_events_undelivered", .measured, unit: "events", help: "Events that their endpoints have not accepted yet.")
  /// For how long the oldest of them has waited for a server to send it.
  package private(set) var oldestEventSeconds = MetricGauge(
    "baton_oldest_event_seconds", .measured, unit: "seconds",
    help:
      "For how long the oldest event that is due, of an enabled endpoint that does not fail, has waited for a server to send it; 0 if there is none."
  )
  /// Events that were given up.
  package private(set) var eventsGivenUp = MetricGauge(
    "baton_events_given_up", .measured, unit: "events",
    help: "Events of the last 30 days that their endpoints did not accept for three days.")
  /// Endpoints whose circuit is open.
  package private(set) var endpointsFailing = MetricGauge(
    "baton_endpoints_failing", .measured, unit: "endpoints",
    help:
      "Enabled endpoints of events that have refused several events in turn, or to which no event could be delivered for two minutes although some were due, and that have accepted none since."
  )
  /// What runs: 1 for each role of this process.
  package private(set) var buildInfo = MetricInfo(
    "baton_build_info", labels: ["version": [], "role": []],
    help: "1 for each role that this process runs, with its version.")
  /// Processor time of this process.
  package private(set) var processCPUSeconds = MetricGauge(
    "process_cpu_seconds_total", .total, unit: "seconds", help: "User and system time that this process has used.")
  /// Memory of this process.
  package private(set) var processResidentBytes = MetricGauge(
    "process_resident_memory_bytes", .measured, unit: "bytes", help: "Memory of this process that is resident.")
  /// Open files of this process.
  package private(set) var processOpenFiles = MetricGauge(
    "process_open_fds", .measured, unit: "files", help: "File descriptors that this process has open.")
  /// How many files it may have open.
  package private(set) var processOpenFileLimit = MetricGauge(
    "process_max_fds", .measured, unit: "files", help: "File descriptors that this process may have open.")
  /// When this process started.
  package private(set) var processStartTime = MetricGauge(
    "process_start_time_seconds", .measured, unit: "seconds", help: "When this process started: Unix time.")
  private var httpRequests = HTTPRequestCounters(
    "baton_http_requests_total", unit: "requests", help: "HTTP requests answered.")

  /// Makes all handles and so all series.
  package init(factory: any MetricsFactory) {
    // Initial values know no argument: the factory comes to them by its task-local value.
    self = MetricFactory.$current.withValue(factory) { Self() }
    logLinesDropped.set(0)
  }

  /// With the factory of ``MetricFactory``.
  private init() {}

  /// The counter of answered HTTP requests of a route and a status; the route is the template of a path, never a path.
  /// - Parameters:
  ///   - route: the template.
  ///   - status: 100 to 599; anything else counts as 599.
  package func httpRequest(_ route: String, status: Int) -> MetricCounter { httpRequests[route, status] }
}

extension BatonMetrics {
  /// All metrics, in the order of the documentation.
  package static let definitions = Mirror(reflecting: BatonMetrics()).children.compactMap {
    ($0.value as? any MetricHandle)?.definition
  }

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

extension PrometheusRegistry {
  /// A registry that knows Baton's metrics.
  package convenience init() { self.init(definitions: BatonMetrics.definitions) }
}
