internal import Primitives
internal import ReviewQueue
internal import ReviewStore
internal import Reviews
internal import Spans
internal import Tracing

/// The spans of a batch of tickets, each in its review's trace.
struct PublishSpans {
  private let spans: [ActiveSpan]
  /// The tickets, each with the span that its delivery belongs to.
  let messages: [(ticket: Ticket, trace: TraceContext)]

  /// The batch is published now.
  init(_ claims: [Claim], queue: String) {
    guard Spans.isEnabled else {
      spans = []
      messages = claims.map { ($0.ticket, $0.trace) }
      return
    }
    spans = claims.compactMap { claim in
      startSpan(
        .publish, in: claim.trace,
        .review(claim.reviewID, attempt: claim.attempt).with(.message("publish", type: "send", of: queue))
          .with([SpanKey.batchCount: .int64(Int64(claims.count))]))
    }
    messages = zip(claims, spans).map { ($0.ticket, $1.context) }
  }

  /// The broker has answered.
  func end(_ outcomes: [TicketPublishOutcome]) {
    for (span, outcome) in zip(spans, outcomes) {
      let name = outcome.name
      span.set([SpanKey.outcome: .string(name)])
      if outcome != .confirmed { span.fail(name) }
      span.end()
    }
  }
}

extension TicketPublishOutcome {
  fileprivate var name: String {
    switch self {
    case .confirmed: "confirmed"
    case .nacked: "nacked"
    case .returned: "returned"
    case .unknown: "unknown"
    case .notSent: "not_sent"
    }
  }
}
