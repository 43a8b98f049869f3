public import Primitives
public import Tracing

/// Runs a body in a span. While no spans are recorded, it is the body alone.
/// - Parameters:
///   - name: what the body does.
///   - parent: the span that it belongs to, also of another process; nil begins a trace.
///   - attributes: made only if the span is kept.
///   - isolation: where the body runs: the caller's.
///   - body: what it throws fails the span. Its span is the parent of what it calls.
@inlinable
package func withSpan<Result, Failure: Error>(
  _ name: SpanName, in parent: TraceContext?, _ attributes: @autoclosure () -> SpanAttributes = [:],
  isolation: isolated (any Actor)? = #isolation, _ body: (ActiveSpan) async throws(Failure) -> Result
) async throws(Failure) -> Result {
  // Inlined, because each review passes here several times, and mostly no spans are recorded.
  guard Spans.isEnabled, let span = startSpan(name, in: parent, attributes()) else {
    return try await body(ActiveSpan(placeOf: parent))
  }
  return try await run(in: span, isolation: isolation, body)
}

/// Runs a body in a span, and ends it.
@usableFromInline
func run<Result, Failure: Error>(
  in span: ActiveSpan, isolation: isolated (any Actor)?, _ body: (ActiveSpan) async throws(Failure) -> Result
) async throws(Failure) -> Result {
  let result = await span.asCurrent { () async -> Swift.Result<Result, Failure> in
    do throws(Failure) {
      return .success(try await body(span))
    } catch {
      return .failure(error)
    }
  }
  if case .failure(let error) = result {
    span.fail(error is CancellationError ? "cancelled" : "\(type(of: error as any Error))")
  }
  span.end()
  return try result.get()
}

/// Runs a body in a span of the present task's trace. Without spans, or a trace, it is the body alone.
/// - Parameters:
///   - name: what the body does.
///   - attributes: made only if the span is kept.
///   - isolation: where the body runs: the caller's.
///   - body: is given nil without a span.
package func withChildSpan<Result, Failure: Error>(
  _ name: SpanName, _ attributes: @autoclosure () -> SpanAttributes = [:],
  isolation: isolated (any Actor)? = #isolation, _ body: (ActiveSpan?) async throws(Failure) -> Result
) async throws(Failure) -> Result {
  guard Spans.isEnabled, let parent = TraceContext.current else { return try await body(nil) }
  return try await withSpan(name, in: parent, attributes(), isolation: isolation, body)
}

/// Begins a span that another piece of code ends.
/// - Parameters:
///   - name: what is done in it.
///   - parent: the span that it belongs to, also of another process; nil begins a trace.
///   - start: when its work began; nil for now.
///   - attributes: made only if the span is kept.
/// - Returns: nil while no spans are recorded.
@usableFromInline
package func startSpan(
  _ name: SpanName, in parent: TraceContext?, at start: SpanStart? = nil,
  _ attributes: @autoclosure () -> SpanAttributes = [:]
) -> ActiveSpan? {
  guard Spans.isEnabled else { return nil }
  let span = InstrumentationSystem.tracer.startSpan(
    name.rawValue, context: parent.map { Propagation.serviceContext(of: $0) } ?? .topLevel, ofKind: name.kind,
    at: start?.instant ?? DefaultTracerClock.now)
  if span.isRecording { span.attributes = attributes() }
  return ActiveSpan(span, Propagation.trace(of: span.context) ?? parent ?? TraceContext())
}

/// Records a span of what has ended now.
/// - Parameters:
///   - name: what was done in it.
///   - parent: the span that it belongs to, also of another process; nil makes a trace of its own.
///   - start: when its work began.
///   - attributes: made only if the span is kept.
package func recordSpan(
  _ name: SpanName, in parent: TraceContext?, since start: SpanStart,
  _ attributes: @autoclosure () -> SpanAttributes = [:]
) {
  startSpan(name, in: parent, at: start, attributes())?.end()
}

extension ActiveSpan {
  /// Runs a body whose spans are this one's children, and whose log lines are of its trace.
  fileprivate func asCurrent<Result>(
    isolation: isolated (any Actor)? = #isolation, _ body: () async -> Result
  ) async -> Result {
    await TraceContext.$current.withValue(context) {
      await ActiveSpan.$current.withValue(self) {
        guard let span else { return await body() }
        return await ServiceContext.$current.withValue(span.context) { await body() }
      }
    }
  }
}
