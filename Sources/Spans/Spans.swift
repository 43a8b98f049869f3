internal import Synchronization
package import Tracing

/// Whether this process records spans, and with which tracer.
///
/// The tracer is one of swift-distributed-tracing: Baton knows only that package's protocols, so that another exporter can take the place of
/// the one in `SpanExport`. Without a tracer a span costs one read of a flag: nothing is allocated, and no attribute is made.
@usableFromInline
package enum Spans {
  private static let hasTracer = Atomic(false)

  /// Whether spans are recorded at all. A tracer may still leave out a trace, see ``ActiveSpan``.
  @usableFromInline package static var isEnabled: Bool { hasTracer.load(ordering: .relaxed) }

  /// Makes a tracer the one of this process. There can be only one: a second call changes nothing.
  /// - Returns: whether the tracer is used.
  @discardableResult
  package static func start(with tracer: some Tracer) -> Bool {
    guard hasTracer.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else { return false }
    InstrumentationSystem.bootstrap(tracer)
    return true
  }

  /// Lets tests record with a tracer of their task, as `withTracer` sets it; for all others the tracer that does nothing is used.
  package static func enableForTests() { hasTracer.store(true, ordering: .relaxed) }
}

/// When something began; holds nothing while no spans are recorded.
@usableFromInline
package struct SpanStart: Sendable {
  let instant: DefaultTracerClock.Timestamp?

  private init(_ instant: DefaultTracerClock.Timestamp?) { self.instant = instant }

  /// The present moment.
  package static var now: SpanStart { SpanStart(Spans.isEnabled ? DefaultTracerClock.now : nil) }
}
