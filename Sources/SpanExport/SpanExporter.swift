internal import DequeModule
internal import FoundationEssentials
package import Logging
internal import Primitives
package import Resilience
internal import ServiceLifecycle
internal import Synchronization
package import Telemetry
package import Tracing

/// Takes the spans that have ended, and sends them in batches.
///
/// Nothing waits for it: a span is added to a queue of a fixed length, and is counted and forgotten if the queue is full. While the
/// collector cannot be reached, a batch waits, the log has one line, and the reviews go on as before. At the end of the process what is left
/// is sent, within a bound.
package final class SpanExporter: Service {
  /// The bounds of an exporter.
  package struct Limits: Sendable {
    /// Spans that wait. With the bounds of ``SpanRecord`` an ordinary one takes about 1 KiB.
    package var queued = 16_384
    /// Spans of one request.
    package var batch = 512
    /// The longest that a span waits for others.
    package var interval: Duration = .seconds(2)
    /// The longest that the end of the process waits for the collector.
    package var flush: Duration = .seconds(3)
    /// The waits while the collector takes nothing.
    package var retry = Backoff(base: .seconds(1), max: .seconds(30))

    package init() {}
  }

  private struct State {
    var queue: Deque<SpanRecord> = []
    var notice = FaultNotice()
  }

  private let sender: any SpanSender
  private let resource: SpanAttributes
  private let version: String
  private let limits: Limits
  private let metrics: BatonMetrics
  private let logger: Logger
  private let state = Mutex(State())
  private let wakeup = Wakeup()

  /// - Parameters:
  ///   - sender: takes a batch to the collector.
  ///   - resource: what the process says about itself.
  ///   - version: of the program.
  ///   - limits: of its memory, and the size of a batch.
  ///   - metrics: count the outcomes of the spans.
  ///   - logger: for what it reports.
  package init(
    _ sender: any SpanSender, resource: SpanAttributes, version: String, limits: Limits = Limits(),
    metrics: BatonMetrics, logger: Logger
  ) {
    self.sender = sender
    self.resource = resource
    self.version = version
    self.limits = limits
    self.metrics = metrics
    self.logger = logger
  }

  /// Takes a span that has ended; returns at once.
  package func add(_ span: SpanRecord) {
    let count = state.withLock { state -> Int? in
      guard state.queue.count < limits.queued else { return nil }
      state.queue.append(span)
      return state.queue.count
    }
    guard let count else { return metrics.spans(.dropped).increment() }
    if count == limits.batch { wakeup.wake() }
  }

  /// Spans that wait.
  package var count: Int { state.withLock { $0.queue.count } }

  /// Sends whenever a batch is full or old enough, until the service is shut down; then what is left.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      var failures = 0
      while !Task.isCancelled {
        if self.count < self.limits.batch { _ = try? await self.wakeup.wait(until: .now + self.limits.interval) }
        guard let wait = await self.sendBatch() else {
          failures = 0
          continue
        }
        let pause = max(wait, self.limits.retry.atLeastHalf(attempt: failures))
        try? await Task.sleep(for: pause)
        failures += 1
      }
    }
    await close()
  }

  /// Sends what is left, within a bound, and ends all connections.
  package func close() async {
    _ = await within(limits.flush) {
      while !Task.isCancelled, self.count > 0 {
        if await self.sendBatch() != nil { return false }
      }
      return true
    }
    let left = state.withLock { $0.queue.count }
    if left > 0 {
      metrics.spans(.dropped).increment(by: left)
      logger.notice(
        "spans could not be exported before the end of the process; they are lost", metadata: ["count": "\(left)"])
    }
    await sender.close()
  }

  /// Sends one batch, if a span waits.
  /// - Returns: nil if the next batch may follow; otherwise for how long the collector wants to be left alone, and the batch waits.
  private func sendBatch() async -> Duration? {
    let batch = state.withLock { state in
      let batch = Array(state.queue.prefix(limits.batch))
      state.queue.removeFirst(batch.count)
      return batch
    }
    guard !batch.isEmpty else { return nil }
    guard let body = try? JSONEncoder().encode(OTLPRequest(batch, resource: resource, version: version)) else {
      metrics.spans(.refused).increment(by: batch.count)
      return nil
    }
    switch await sender.send(Array(body)) {
    case .accepted(let rejected, let reason):
      metrics.spans(.exported).increment(by: max(0, batch.count - rejected))
      metrics.spans(.refused).increment(by: min(rejected, batch.count))
      note(rejected > 0 ? "it does not want some spans" + (reason.map { ": \($0)" } ?? "") : nil)
      return nil
    case .refused(let reason):
      metrics.spans(.refused).increment(by: batch.count)
      note(reason)
      return nil
    case .failed(let reason, let wait):
      putBack(batch)
      if !Task.isCancelled { note(reason) }
      return wait ?? .zero
    }
  }

  /// In front of the others; the newest give way.
  private func putBack(_ batch: [SpanRecord]) {
    let excess = state.withLock { state in
      state.queue.insert(contentsOf: batch, at: 0)
      let excess = max(0, state.queue.count - limits.queued)
      state.queue.removeLast(excess)
      return excess
    }
    if excess > 0 { metrics.spans(.dropped).increment(by: excess) }
  }

  private func note(_ fault: String?) {
    let (isNews, isOver) = state.withLock { state in
      (fault.map { state.notice.failed($0) } ?? false, fault == nil && state.notice.worked())
    }
    if isNews, let fault {
      logger.warning(
        "the collector does not take spans; reviews go on, and spans are dropped when too many wait",
        metadata: ["error": "\(fault)"])
    }
    if isOver { logger.notice("the collector takes spans again") }
  }
}
