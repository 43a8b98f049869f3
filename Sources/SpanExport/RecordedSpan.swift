internal import Primitives
internal import Synchronization
package import Tracing

/// A span of ``SpanTracer``. One whose trace is not sampled has an identity, and nothing else.
package final class RecordedSpan: Tracing.Span {
  package let context: ServiceContext
  private let keep: @Sendable (SpanRecord) -> Void
  /// nil if it is not sampled, or has ended.
  private let record: Mutex<SpanRecord?>

  init(_ context: ServiceContext, _ record: SpanRecord?, keep: @escaping @Sendable (SpanRecord) -> Void) {
    self.context = context
    self.keep = keep
    self.record = Mutex(record)
  }

  package var isRecording: Bool { record.withLock { $0 != nil } }

  package var operationName: String {
    get { record.withLock { $0?.name } ?? "" }
    set { record.withLock { $0?.name = newValue } }
  }

  package var attributes: SpanAttributes {
    get { record.withLock { $0?.attributes } ?? [:] }
    set { record.withLock { $0?.attributes = newValue } }
  }

  package func setStatus(_ status: SpanStatus) { record.withLock { $0?.status = status } }

  package func addEvent(_ event: SpanEvent) { record.withLock { $0?.add(event) } }

  /// The error's type alone: its text may quote what came from outside.
  package func recordError<Instant: TracerInstant>(
    _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
  ) {
    var attributes = attributes
    attributes["exception.type"] = "\(type(of: error))"
    addEvent(SpanEvent(name: "exception", at: instant(), attributes: attributes))
  }

  package func addLink(_ link: SpanLink) {
    guard let trace = link.context.trace else { return }
    record.withLock { $0?.add(trace) }
  }

  package func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
    guard var ended = record.withLock({ $0.take() }) else { return }
    // The clock may have been set back in the meantime.
    ended.endNanoseconds = max(instant().nanosecondsSinceEpoch, ended.startNanoseconds)
    keep(ended)
  }
}

private enum TraceKey: ServiceContextKey {
  typealias Value = TraceContext
}

extension ServiceContext {
  /// The span that it names.
  var trace: TraceContext? {
    get { self[TraceKey.self] }
    set { self[TraceKey.self] = newValue }
  }
}
