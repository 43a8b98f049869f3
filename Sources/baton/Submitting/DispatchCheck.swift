internal import Reviews

/// Whether a review was dispatched exactly once and has completed, by its row and its recorded transitions.
enum DispatchCheck {
  /// The faults found; empty if there are none.
  static func faults(_ review: Review, _ transitions: [ReviewTransition]) -> [String] {
    var faults: [String] = []
    if review.status != .completed {
      faults.append(review.outcome.map { "\(review.status.rawValue): \($0)" } ?? review.status.rawValue)
    }
    if review.attempt != 1 { faults.append("attempt \(review.attempt)") }
    if review.dispatchFailures != 0 { faults.append("\(review.dispatchFailures) dispatch failures") }
    if review.republishCount != 0 { faults.append("republished \(review.republishCount) times") }
    if review.dispatchedAt == nil && review.status == .completed { faults.append("no dispatch recorded") }
    let claims = transitions.count { $0.fromStatus == .pending && $0.toStatus == .queued }
    if claims != 1 { faults.append("claimed \(claims) times") }
    let starts = transitions.count {
      $0.fromStatus == .queued && ($0.toStatus == .running || $0.toStatus == .completed)
    }
    if starts != 1 { faults.append("started \(starts) times") }
    return faults
  }
}
