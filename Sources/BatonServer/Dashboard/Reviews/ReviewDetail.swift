internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import WorkerAPI
internal import WorkerClient

/// Everything that is known about one review.
struct ReviewDetail: Sendable {
  /// What the worker reports about the run.
  enum Events: Sendable {
    /// It has not been handed to a worker.
    case none
    case known([RunEvent])
    /// No worker is set, or it did not answer.
    case unknown(String)
  }

  var now: Timestamp
  var review: Review
  var transitions: [ReviewTransition]
  var blockReason: BlockReason?
  /// Feedback that could not be delivered to its pull request.
  var undeliveredFeedback: [UndeliveredFeedback] = []
  /// The cancels that the worker has not accepted.
  var undeliveredCancels: [UndeliveredCancel] = []
  var events: Events
}

/// Reads one review's page: from the database, and at the same time from the worker, for which it waits no longer than that client's
/// timeout.
struct ReviewDetailReader: Sendable {
  let store: ReviewStore
  /// nil if no worker is set.
  let worker: WorkerClient?
  let policy: WatchPolicy

  /// - Returns: nil if there is no such review.
  /// - Throws: `StoreFault`.
  func read(_ id: UUID) async throws -> ReviewDetail? {
    guard let review = try await store.review(id) else { return nil }
    async let events = events(of: review)
    let now = try await store.now()
    let transitions = try await store.transitions(of: id)
    let blockReason =
      review.status.isTerminal
      ? nil : try await store.blockReason(of: id, policy.times, queue: policy.queue, ownerLimit: policy.ownerLimit)
    let undeliveredFeedback = try await store.undeliveredFeedback(of: id)
    let undeliveredCancels = try await store.undeliveredCancels(of: id)
    return ReviewDetail(
      now: now, review: review, transitions: transitions, blockReason: blockReason,
      undeliveredFeedback: undeliveredFeedback,
      undeliveredCancels: undeliveredCancels, events: await events)
  }

  private func events(of review: Review) async -> ReviewDetail.Events {
    guard review.dispatchedAt != nil || review.startedAt != nil else { return .none }
    guard let worker else { return .unknown("This server has no worker to ask: BATON_WORKER_URL is not set.") }
    do {
      return .known(try await worker.events(of: review.id))
    } catch {
      return .unknown(error.description)
    }
  }
}
