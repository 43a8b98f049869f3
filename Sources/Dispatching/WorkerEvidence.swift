internal import ReviewStore
internal import WorkerAPI
internal import WorkerClient

/// What a worker's answer about a review is worth. Consumers ask before they repeat a start, the reaper about silent reviews.
enum WorkerEvidence: Sendable {
  /// It has the review.
  indirect case known(RunStatus)
  /// It says that it does not have the review.
  /// - Parameter isProven: whether this worker has ever answered 200 to this question. If not, its 404 or 405 is no evidence.
  case unknown(isProven: Bool)
  /// It has not answered, something else has answered in its place, or that cannot be told apart now.
  case failed(String)
}

extension SilentReviewLedger {
  /// Weighs an answer by what this worker has answered before, which matters only if it answers that it does not have the review.
  /// - Throws: a ``LedgerFault``.
  func weigh(_ answer: StatusAnswer, of workerURL: String) async throws -> WorkerEvidence {
    switch answer {
    case .known(let run): return .known(run)
    case .failed(let message): return .failed(message)
    case .unknown, .unsupported:
      let hasAnswered = try await workerHasAnswered(workerURL)
      if case .failed(let message) = answer.judged(hasAnswered: hasAnswered) { return .failed(message) }
      return .unknown(isProven: hasAnswered)
    }
  }
}
