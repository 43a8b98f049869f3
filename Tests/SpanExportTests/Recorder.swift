import Primitives
import SpanExport
import Spans
import Synchronization
import Testing
import Tracing

/// Keeps the spans of a tracer.
final class Recorder: Sendable {
  private let kept: Kept
  let tracer: SpanTracer

  private final class Kept: Sendable {
    let spans = Mutex<[SpanRecord]>([])
  }

  init(ratio: Double = 1) throws {
    let kept = Kept()
    self.kept = kept
    tracer = SpanTracer(ratio: ratio) { span in kept.spans.withLock { $0.append(span) } }
    Spans.enableForTests()
  }

  var spans: [SpanRecord] { kept.spans.withLock { $0 } }

  /// A span of the given name that ended.
  func only(_ name: SpanName) throws -> SpanRecord {
    let found = spans.filter { $0.name == name.rawValue }
    try #require(found.count == 1, "\(name): \(found.count)")
    return found[0]
  }

  /// Begins a span as a library would that knows the tracer alone.
  func span(_ name: String, in parent: TraceContext?) -> RecordedSpan {
    var context = ServiceContext.topLevel
    if let parent { tracer.extract(["traceparent": parent.traceparent], into: &context, using: Fields()) }
    return tracer.startSpan(name, context: context)
  }

  private struct Fields: Extractor {
    func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
  }
}
