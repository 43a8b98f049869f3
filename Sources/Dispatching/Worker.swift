package import FoundationEssentials
package import Primitives
package import WorkerClient

/// The worker, as dispatching calls it; every failure is a value.
package protocol Worker: Sendable {
  /// Starts an attempt.
  func start(_ body: [UInt8], reviewID: UUID, attempt: Int, trace: TraceContext?) async -> DispatchOutcome
  /// Asks what the worker knows of a review.
  func status(of reviewID: UUID) async -> StatusAnswer
  /// Cancels all attempts up to one, also those that the worker does not know yet.
  func cancel(_ reviewID: UUID, attempt: Int) async -> CancelAnswer
}

extension WorkerClient: Worker {
  /// Without a reason: the worker has no use for one, and the review's row has it.
  package func cancel(_ reviewID: UUID, attempt: Int) async -> CancelAnswer {
    await cancel(reviewID, reason: nil, attempt: attempt)
  }
}
