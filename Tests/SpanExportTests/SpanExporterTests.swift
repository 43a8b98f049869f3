import Foundation
import Logging
import Primitives
import Resilience
import Support
import Synchronization
import Telemetry
import Testing
import Tracing

@testable import SpanExport

@Suite("The exporter of spans", .timeLimit(.minutes(1)))
struct SpanExporterTests {
  /// A collector with prepared answers.
  private final class FakeCollector: SpanSender {
    struct State {
      var answers: [SendOutcome] = []
      var usual = SendOutcome.accepted(rejected: 0, reason: nil)
      var bodies: [[UInt8]] = []
      var hangs = false
      var isClosed = false
    }

    let state = Mutex(State())

    init(_ answers: SendOutcome..., usual: SendOutcome = .accepted(rejected: 0, reason: nil), hangs: Bool = false) {
      state.withLock { ($0.answers, $0.usual, $0.hangs) = (answers, usual, hangs) }
    }

    func send(_ body: [UInt8]) async -> SendOutcome {
      if state.withLock({ $0.hangs }) {
        try? await Task.sleep(for: .seconds(3_600))
        return .failed("cancelled", retryAfter: nil)
      }
      return state.withLock { state in
        state.bodies.append(body)
        return state.answers.isEmpty ? state.usual : state.answers.removeFirst()
      }
    }

    func close() async { state.withLock { $0.isClosed = true } }

    var sentCount: Int { state.withLock { $0.bodies.count } }
  }

  private struct Trial {
    let exporter: SpanExporter
    let registry = PrometheusRegistry()
    let log = CapturedLog()

    init(_ collector: FakeCollector, _ change: (inout SpanExporter.Limits) -> Void = { _ in }) {
      var limits = SpanExporter.Limits()
      limits.interval = .milliseconds(10)
      limits.retry = Backoff(base: .milliseconds(10), max: .milliseconds(20))
      change(&limits)
      exporter = SpanExporter(
        collector, resource: [:], version: "1", limits: limits, metrics: BatonMetrics(factory: registry),
        logger: log.logger)
    }

    func add(_ count: Int) {
      for _ in 0..<count {
        exporter.add(SpanRecord(name: "a", kind: .internal, context: TraceContext(), startNanoseconds: 1))
      }
    }

    func count(_ result: BatonMetrics.SpanResult) -> Int {
      let text = registry.exposition()
      let line = text.split(separator: "\n").first { $0.hasPrefix("baton_spans_total{result=\"\(result.rawValue)\"}") }
      return line.flatMap { $0.split(separator: " ").last }.flatMap { Int($0) } ?? -1
    }
  }

  @Test("a full queue drops the newest spans, counts them, and waits for nothing")
  func full() async {
    let trial = Trial(FakeCollector(hangs: true)) { $0.queued = 100 }
    trial.add(150)
    #expect(trial.exporter.count == 100)
    #expect(trial.count(.dropped) == 50)
  }

  @Test("batches follow one another, and at the end all is sent")
  func batches() async throws {
    let collector = FakeCollector()
    let trial = Trial(collector) { $0.batch = 10 }
    trial.add(25)
    await trial.exporter.close()
    #expect(collector.sentCount == 3 && collector.state.withLock { $0.isClosed })
    #expect(trial.count(.exported) == 25)
    #expect(trial.log.lines().isEmpty)
  }

  @Test("while the collector cannot be reached the batch waits, and the log has one line for it and one for its end")
  func away() async throws {
    let collector = FakeCollector(
      .failed("refused", retryAfter: nil), .failed("refused", retryAfter: nil), .failed("refused", retryAfter: nil))
    let trial = Trial(collector)
    trial.add(5)
    let running = Task { try await trial.exporter.run() }
    try await eventually("all are sent") { trial.count(.exported) == 5 }
    running.cancel()
    _ = await running.result
    #expect(collector.sentCount == 4)
    #expect(
      trial.log.lines() == [
        "the collector does not take spans; reviews go on, and spans are dropped when too many wait error=refused",
        "the collector takes spans again",
      ])
  }

  @Test("what the collector refuses is counted and not sent again")
  func refused() async {
    let collector = FakeCollector(.refused("it answered 400"), .accepted(rejected: 2, reason: "too old"))
    let trial = Trial(collector) { $0.batch = 10 }
    trial.add(20)
    await trial.exporter.close()
    #expect(collector.sentCount == 2)
    #expect(trial.count(.refused) == 12)
    #expect(trial.count(.exported) == 8)
  }

  @Test("the end of the process waits for a collector that hangs no longer than the bound, and says what is lost")
  func hangs() async {
    let trial = Trial(FakeCollector(hangs: true)) { $0.flush = .milliseconds(50) }
    trial.add(7)
    await trial.exporter.close()
    #expect(
      trial.log.lines(from: .notice).last
        == "spans could not be exported before the end of the process; they are lost count=7")
    #expect(trial.count(.dropped) == 7)
  }
}
