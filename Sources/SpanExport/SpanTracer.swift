internal import Primitives
package import Tracing

/// A tracer of swift-distributed-tracing: W3C Trace Context between processes, spans that have ended to a ``SpanExporter``.
package struct SpanTracer: Tracer {
  private let sampler: TraceSampler
  private let keep: @Sendable (SpanRecord) -> Void

  /// - Parameters:
  ///   - ratio: how many of the traces that begin here are recorded: 0 for none, 1 for all.
  ///   - keep: takes each span that has ended; must not wait.
  package init(ratio: Double, keep: @escaping @Sendable (SpanRecord) -> Void) {
    sampler = TraceSampler(ratio: ratio)
    self.keep = keep
  }

  package func startSpan<Instant: TracerInstant>(
    _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: SpanKind,
    at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
  ) -> RecordedSpan {
    var context = context()
    let parent = context.trace
    var trace = parent?.child() ?? TraceContext()
    trace.isSampled = isSampled(trace, parent)
    context.trace = trace
    guard trace.isSampled else { return RecordedSpan(context, nil, keep: keep) }
    let parentID = parent.flatMap { $0.isOfReview ? nil : $0.spanID }
    return RecordedSpan(
      context,
      SpanRecord(
        name: operationName, kind: kind, context: trace, parentID: parentID,
        startNanoseconds: instant().nanosecondsSinceEpoch),
      keep: keep)
  }

  private func isSampled(_ trace: TraceContext, _ parent: TraceContext?) -> Bool {
    guard let parent else { return sampler.samples(trace) }
    return parent.isSampled && (!parent.isOfReview || sampler.samples(trace))
  }

  /// Nothing: ``SpanExporter`` sends by itself, and at the end of its process.
  package func forceFlush() {}

  private static let header = "traceparent"

  package func extract<Carrier, Extract: Extractor>(
    _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
  ) where Extract.Carrier == Carrier {
    context.trace = extractor.extract(key: Self.header, from: carrier).flatMap { TraceContext(traceparent: $0) }
  }

  package func inject<Carrier, Inject: Injector>(
    _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
  ) where Inject.Carrier == Carrier {
    guard let trace = context.trace else { return }
    injector.inject(trace.traceparent, forKey: Self.header, into: &carrier)
  }
}
