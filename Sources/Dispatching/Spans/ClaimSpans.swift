internal import ReviewStore
internal import Reviews
internal import Spans
internal import Tracing

/// The spans of one statement that claims: one for each review in its own trace, and one of the whole, which refers to them.
struct ClaimSpans {
  private let start = SpanStart.now

  /// The statement has ended.
  func end(_ claims: [Claim]) {
    guard Spans.isEnabled, !claims.isEmpty else { return }
    let batch = startSpan(
      .claimBatch, in: nil, at: start, .statement("claim_due").with([SpanKey.batchSize: .int64(Int64(claims.count))]))
    for claim in claims {
      let span = startSpan(.claim, in: claim.trace, at: start, .review(claim.reviewID, attempt: claim.attempt))
      if let batch, let span {
        batch.link(to: span.context)
        span.link(to: batch.context)
      }
      span?.end()
    }
    batch?.end()
  }
}
