internal import Primitives
internal import Tracing

/// How a span's identity becomes text and is read again: by the tracer itself, as the header `traceparent`. So it does not matter how a tracer
/// names its spans.
enum Propagation {
  private static let header = "traceparent"

  private struct Fields: Extractor, Injector {
    func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }
  }

  /// The parent of new spans.
  static func serviceContext(of trace: TraceContext) -> ServiceContext {
    var context = ServiceContext.topLevel
    InstrumentationSystem.instrument.extract([header: trace.traceparent], into: &context, using: Fields())
    return context
  }

  /// The span of a context; nil if the tracer gives spans no identity.
  static func trace(of context: ServiceContext) -> TraceContext? {
    var fields: [String: String] = [:]
    InstrumentationSystem.instrument.inject(context, into: &fields, using: Fields())
    return fields[header].flatMap { TraceContext(traceparent: $0) }
  }
}
