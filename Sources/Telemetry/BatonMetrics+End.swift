package import Reviews

extension BatonMetrics {
  /// Counts the end of a review that this process has recorded; other statuses, and cancels, which someone has requested, are not counted.
  package func recordEnd(_ status: ReviewStatus) {
    switch status {
    case .completed: ended(.completed).increment()
    case .failed: ended(.failed).increment()
    case .pending, .queued, .running, .cancelled: break
    }
  }
}
