import CoreMetrics
import MetricsTestKit
import Reviews
import Telemetry
import Testing

@Suite("Prometheus registry")
struct PrometheusTests {
  func registry() -> PrometheusRegistry {
    PrometheusRegistry(definitions: [
      MetricDefinition("a_total", .counter, unit: "things", help: "Things \\ and\nmore."),
      MetricDefinition("b_seconds", .histogram(buckets: [0.1, 1]), unit: "seconds", help: "Time."),
      MetricDefinition("c", .measured, unit: "things", help: "Outside."),
    ])
  }

  @Test("counters, gauges and histograms in the text format, sorted, escaped, with help and type")
  func format() {
    let registry = registry()
    Counter(label: "a_total", dimensions: [("x", "quote\" back\\ line\n")], factory: registry).increment(by: 3)
    Counter(label: "a_total", dimensions: [("x", "0")], factory: registry).increment()
    let timer = Timer(label: "b_seconds", dimensions: [("y", "z")], factory: registry)
    for milliseconds in [50, 100, 500, 2000] { timer.recordMilliseconds(milliseconds) }
    let gauge = Meter(label: "d", factory: registry)
    gauge.set(2.5)
    gauge.decrement(by: 5)
    #expect(
      registry.exposition() == #"""
        # HELP a_total Things \\ and\nmore.
        # TYPE a_total counter
        a_total{x="0"} 1
        a_total{x="quote\" back\\ line\n"} 3
        # HELP b_seconds Time.
        # TYPE b_seconds histogram
        b_seconds_bucket{y="z",le="0.1"} 2
        b_seconds_bucket{y="z",le="1"} 3
        b_seconds_bucket{y="z",le="+Inf"} 4
        b_seconds_sum{y="z"} 2.65
        b_seconds_count{y="z"} 4
        # TYPE d gauge
        d -2.5

        """#)
  }

  @Test("what is measured outside is absent until it has been, and again when it is not known")
  func measured() {
    let registry = registry()
    let gauge = Meter(label: "c", factory: registry)
    #expect(registry.exposition() == "")
    gauge.set(0)
    #expect(registry.exposition().contains("\nc 0\n"))
    gauge.set(Double.nan)
    #expect(registry.exposition() == "")
  }

  @Test("two handles of one series write to the same; a destroyed one is gone")
  func identity() {
    let registry = registry()
    let counter = Counter(label: "a_total", factory: registry)
    counter.increment()
    Counter(label: "a_total", factory: registry).increment()
    #expect(registry.exposition().contains("a_total 2\n"))
    counter.destroy()
    #expect(registry.exposition() == "")
  }

  @Test("a library's metric gets a valid name, and one of the wrong kind stays out")
  func foreign() {
    let registry = registry()
    Counter(label: "http.server-requests", dimensions: [("hb.uri", "/")], factory: registry).increment()
    Timer(label: "http.server", factory: registry).recordSeconds(1)
    Counter(label: "1st", factory: registry).increment()
    Meter(label: "http_server_requests_total", factory: registry).set(5)
    let text = registry.exposition()
    #expect(text.contains("http_server_requests_total{hb_uri=\"/\"} 1\n"))
    #expect(text.contains("http_server_seconds_count 1\n"))
    #expect(text.contains("_1st_total 1\n"))
    #expect(!text.contains("http_server_requests_total 5"))
  }

  @Test("a label with endless values does not fill the memory")
  func seriesCap() {
    let registry = registry()
    for number in 0..<(PrometheusRegistry.seriesMax + 500) {
      Counter(label: "a_total", dimensions: [("n", String(number))], factory: registry).increment()
    }
    #expect(registry.exposition().split(separator: "\n").count == PrometheusRegistry.seriesMax + 2)
  }

  @Test("hooks set their gauges before a scrape is rendered")
  func hooks() async {
    let registry = registry()
    let (first, second) = (Meter(label: "c", factory: registry), Meter(label: "d", factory: registry))
    registry.onCollect { first.set(1) }
    registry.onCollect {
      await Task.yield()
      second.set(2)
    }
    let text = await registry.collect()
    #expect(text.contains("c 1\n") && text.contains("d 2\n"))
  }

  @Test("increments of many tasks are all counted")
  func concurrency() async {
    let registry = registry()
    let counter = Counter(label: "a_total", factory: registry)
    let gauge = Meter(label: "d", factory: registry)
    let timer = Timer(label: "b_seconds", factory: registry)
    await withDiscardingTaskGroup { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<1000 {
            counter.increment()
            gauge.increment()
            timer.recordMilliseconds(1)
          }
        }
      }
    }
    let text = registry.exposition()
    #expect(text.contains("a_total 8000\n") && text.contains("d 8000\n") && text.contains("b_seconds_count 8000\n"))
  }
}

@Suite("Baton's metrics")
struct BatonMetricsTests {
  /// Every code with which a review can fail; the others are those of cancelled ones.
  private static let failureCodes =
    ErrorCode.allCases.filter { ![.superseded, .cancelledByUser, .repositoryRemoved].contains($0) }.map(\.rawValue) + [
      "other"
    ]

  /// The names, labels and label values that other programs rely on.
  static let promised: [String: [String: [String]]] = [
    "baton_queue_messages_ready": [:], "baton_queue_messages_unacked": [:], "baton_queue_consumers": [:],
    "baton_dead_messages": [:], "baton_reviews": ["status": ["pending", "queued", "running"]],
    "baton_oldest_pending_seconds": [:], "baton_oldest_queued_seconds": [:], "baton_claimed_total": [:],
    "baton_oldest_claimable_seconds": [:], "baton_oldest_running_seconds": [:],
    "baton_reviews_held_back": ["reason": ["owner_limit", "paused"]], "baton_reaper_last_run_timestamp_seconds": [:],
    "baton_consumer_slots": [:], "baton_ended_total": ["status": ["completed", "failed"]],
    "baton_published_total": ["result": ["confirmed", "nacked", "returned", "failed"]],
    "baton_publish_confirm_seconds": [:],
    "baton_deliveries_total": [
      "outcome": ["dispatched", "duplicate", "retry", "failed", "ambiguous", "poison", "returned"]
    ],
    "baton_prepare_seconds": [:], "baton_dispatch_seconds": [:], "baton_queue_wait_seconds": [:],
    "baton_dispatch_delay_seconds": [:],
    "baton_inflight_reviews": [:],
    "baton_reaped_total": ["reason": ["unpublished", "lease_expired", "stale", "lost"]],
    "baton_reconciled_total": [
      "result": ["alive", "completed", "failed", "cancelled", "republished", "lost", "unanswered"]
    ],
    "baton_reviews_completed_total": [:],
    "baton_reviews_failed_total": ["error_code": failureCodes],
    "baton_reviews_reaped_total": ["reason": ["unpublished", "lease_expired", "stale", "lost"]],
    "baton_reviews_reconciled_total": [
      "result": ["alive", "completed", "failed", "cancelled", "republished", "lost", "unanswered"]
    ],
    "baton_reviews_cancels_given_up_total": [:], "baton_webhooks_given_up_total": [:],
    "baton_oldest_webhook_seconds": [:], "baton_rate_limit_left_ratio": ["platform": ["github", "gitlab"]],
    "baton_circuit_open": ["target": ["worker", "github", "gitlab"]], "baton_amqp_reconnects_total": [:],
    "baton_postgres_reconnects_total": [:], "baton_log_lines_dropped_total": [:],
    "baton_http_requests_total": ["route": [], "status": []],
    "baton_dispatch_stalled_seconds": [:], "baton_broker_blocked": [:], "baton_postgres_round_trip_seconds": [:],
    "baton_process_faults": [
      "cause": [
        "circuit", "other", "broker_blocked", "broker_away", "tickets_refused", "database_away", "not_signed_on",
        "rate_limited",
      ]
    ],
    "baton_cancels_undelivered": [:], "baton_webhooks_unprocessed": [:], "baton_feedback_undelivered": [:],
    "baton_oldest_feedback_seconds": [:],
    "baton_events_undelivered": [:], "baton_oldest_event_seconds": [:], "baton_events_given_up": [:],
    "baton_endpoints_failing": [:],
    "baton_spans_total": ["result": ["exported", "refused", "dropped"]],
    "baton_build_info": ["version": [], "role": []], "process_cpu_seconds_total": [:],
    "process_resident_memory_bytes": [:], "process_open_fds": [:], "process_max_fds": [:],
    "process_start_time_seconds": [:],
    "baton_feedback_given_up": [:], "baton_catch_up_found_total": ["finding": ["redelivered", "unreviewed"]],
  ]

  @Test("names, labels and label values are the documented ones")
  func names() {
    #expect(Set(BatonMetrics.definitions.map(\.name)) == Set(Self.promised.keys))
    for definition in BatonMetrics.definitions {
      let labels = Dictionary(uniqueKeysWithValues: definition.labels.map { ($0.name, Set($0.values)) })
      #expect(labels == Self.promised[definition.name]?.mapValues { Set($0) }, "\(definition.name)")
      #expect(definition.help.hasSuffix(".") && BatonMetrics.markdownTable.contains("`\(definition.name)`"))
    }
  }

  @Test("every counter and histogram exists with 0 from the start; nothing measured does")
  func zeroes() {
    let registry = PrometheusRegistry()
    _ = BatonMetrics(factory: registry)
    let lines = registry.exposition().split(separator: "\n").map { String($0) }
    for (name, labels) in Self.promised
    where name.hasSuffix("_total") && !name.hasPrefix("baton_reviews") && !name.hasPrefix("baton_catch_up")
      && !name.hasPrefix("baton_webhooks")
      && !name.hasPrefix("process_") && labels.count < 2
    {
      for value in labels.first?.value ?? [""] {
        let series = labels.first.map { "\(name){\($0.key)=\"\(value)\"}" } ?? name
        #expect(lines.contains("\(series) 0"), "\(series)")
      }
    }
    #expect(lines.contains("baton_prepare_seconds_count 0"))
    #expect(lines.contains("baton_inflight_reviews 0"))
    #expect(lines.contains("baton_circuit_open{target=\"worker\"} 0"))
    #expect(!lines.contains { $0.hasPrefix("baton_catch_up") })
    #expect(!lines.contains { $0.hasPrefix("baton_reviews") || $0.hasPrefix("baton_queue_messages") })
  }

  @Test("a count that the database keeps is shown as a counter, whole, once it is known")
  func totals() throws {
    let registry = PrometheusRegistry()
    let metrics = BatonMetrics(factory: registry)
    #expect(!registry.exposition().contains("baton_reviews_failed_total"))
    metrics.reviewsFailed(try #require(BatonMetrics.FailureCode(rawValue: "worker_lost"))).set(7)
    let text = registry.exposition()
    #expect(text.contains("# TYPE baton_reviews_failed_total counter\n"))
    #expect(text.contains("baton_reviews_failed_total{error_code=\"worker_lost\"} 7\n"))
  }

  @Test("every handle writes to its own metric")
  func handles() throws {
    let factory = TestMetrics()
    let metrics = BatonMetrics(factory: factory)
    metrics.claimed.increment(by: 3)
    metrics.published(.nacked).increment()
    metrics.deliveries(.dispatched).increment(by: 2)
    metrics.reaped(.leaseExpired).increment()
    metrics.reconciled(.lost).increment()
    metrics.amqpReconnects.increment()
    metrics.httpRequest("/api/internal/code-review-status/{id}", status: 200).increment()
    metrics.httpRequest("/api/internal/code-review-status/{id}", status: 100_000).increment()
    metrics.prepareSeconds.record(seconds: .milliseconds(1500))
    metrics.queueWaitSeconds.record(seconds: .seconds(-5))
    metrics.dispatchSeconds.record(seconds: .seconds(Int64.max))
    metrics.circuitOpen(.github).set(1)
    metrics.reviews(.queued).set(7)
    metrics.oldestPendingSeconds.set(seconds: .milliseconds(2500))
    metrics.heldBack(.ownerLimit).set(4)
    metrics.consumerSlots.set(256)
    metrics.reaperLastRun.set(1_700_000_000.5)
    metrics.reviewsCompleted.set(11)
    let lost = try #require(BatonMetrics.FailureCode(rawValue: "worker_lost"))
    metrics.reviewsFailed(lost).set(12)
    metrics.reviewsReaped(.lost).set(13)
    metrics.reviewsReconciled(.lost).set(14)
    for status in ReviewStatus.allCases { metrics.recordEnd(status) }
    #expect(try factory.expectCounter("baton_claimed_total").totalValue == 3)
    #expect(try factory.expectCounter("baton_published_total", [("result", "nacked")]).totalValue == 1)
    #expect(try factory.expectCounter("baton_published_total", [("result", "confirmed")]).totalValue == 0)
    #expect(try factory.expectCounter("baton_deliveries_total", [("outcome", "dispatched")]).totalValue == 2)
    #expect(try factory.expectCounter("baton_reaped_total", [("reason", "lease_expired")]).totalValue == 1)
    #expect(try factory.expectCounter("baton_reconciled_total", [("result", "lost")]).totalValue == 1)
    #expect(try factory.expectCounter("baton_amqp_reconnects_total").totalValue == 1)
    let callback = "/api/internal/code-review-status/{id}"
    for status in ["200", "599"] {
      let counter = try factory.expectCounter("baton_http_requests_total", [("route", callback), ("status", status)])
      #expect(counter.totalValue == 1)
    }
    #expect(try factory.expectTimer("baton_prepare_seconds").values == [1_500_000_000])
    #expect(try factory.expectTimer("baton_queue_wait_seconds").values == [0])
    #expect(try factory.expectTimer("baton_dispatch_seconds").values.count == 1)
    #expect(try factory.expectMeter("baton_circuit_open", [("target", "github")]).values == [1])
    #expect(try factory.expectMeter("baton_reviews", [("status", "queued")]).values == [7])
    #expect(try factory.expectMeter("baton_oldest_pending_seconds").values == [2.5])
    #expect(try factory.expectMeter("baton_reviews_held_back", [("reason", "owner_limit")]).values == [4])
    #expect(try factory.expectMeter("baton_consumer_slots").values == [256])
    #expect(try factory.expectMeter("baton_reaper_last_run_timestamp_seconds").values == [1_700_000_000.5])
    #expect(try factory.expectMeter("baton_reviews_completed_total").values == [11])
    #expect(try factory.expectMeter("baton_reviews_failed_total", [("error_code", "worker_lost")]).values == [12])
    #expect(try factory.expectMeter("baton_reviews_reaped_total", [("reason", "lost")]).values == [13])
    #expect(try factory.expectMeter("baton_reviews_reconciled_total", [("result", "lost")]).values == [14])
    for status in ["completed", "failed"] {
      #expect(try factory.expectCounter("baton_ended_total", [("status", status)]).totalValue == 1)
    }
  }
}
