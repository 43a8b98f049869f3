public import Primitives
package import Tracing

/// A span that has begun, or the place of one while no spans are recorded.
///
/// Attributes are facts of a small, known set of names, see ``SpanName``. They never hold a secret, a prompt, a query of a URL, or the text of
/// an error: a text may quote what came from outside. The log has the texts, under the same trace.
@usableFromInline
package struct ActiveSpan: Sendable {
  /// What children take as their parent, and what is sent to other processes.
  package let context: TraceContext
  /// nil while no spans are recorded.
  let span: (any Tracing.Span)?

  /// The innermost span around the present task that has a body; nil while no spans are recorded.
  @TaskLocal package static var current: ActiveSpan?

  /// The place of a span while none are recorded, for code that sends nothing on.
  package static let off = ActiveSpan(nil, TraceContext())

  init(_ span: (any Tracing.Span)?, _ context: TraceContext) {
    self.span = span
    self.context = context
  }

  /// The place of a span while none are recorded.
  @usableFromInline
  package init(placeOf parent: TraceContext?) { self.init(nil, parent ?? TraceContext()) }

  /// Sets attributes; they are made only if they are kept.
  package func set(_ attributes: @autoclosure () -> SpanAttributes) {
    guard let span, span.isRecording else { return }
    let added = attributes()
    span.updateAttributes { $0.merge(added) }
  }

  /// Marks the span as failed.
  /// - Parameter code: of a small set: an error code of Baton's, a status of HTTP, the name of a type.
  package func fail(_ code: @autoclosure () -> String) {
    guard let span, span.isRecording else { return }
    let code = code()
    span.updateAttributes { $0[SpanKey.errorType] = code }
    span.setStatus(SpanStatus(code: .error, message: code))
  }

  /// Refers to a span of another trace, or to another parent.
  package func link(to context: TraceContext) {
    guard let span, span.isRecording else { return }
    span.addLink(SpanLink(context: Propagation.serviceContext(of: context), attributes: [:]))
  }

  /// Ends the span: now, or when its work had ended.
  package func end(at end: SpanStart? = nil) {
    guard let span else { return }
    if let instant = end?.instant { span.end(at: instant) } else { span.end() }
  }
}
