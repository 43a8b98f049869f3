internal import Logging
internal import Resilience
internal import ReviewQueue
internal import ReviewStore
internal import Reviews
internal import Telemetry
internal import WorkerAPI
internal import WorkerClient

extension Reaper {
  /// Workers that are asked at once.
  private static let questionsAtOnce = 16

  /// Asks the worker about reviews that it should have reported on: dispatched but still queued, or running for long.
  func reconcileSilent(_ counts: inout ReapCounts) async throws {
    guard let worker else { return }
    let times = policy.reapTimes
    while true {
      let silent = try await store.takeSilent(times, limit: Self.pageMax)
      var results: [BatonMetrics.ReconcileResult] = []
      var failure: (any Error)?
      do {
        try await withThrowingTaskGroup(of: BatonMetrics.ReconcileResult.self) { group in
          for (index, review) in silent.enumerated() {
            if index >= Self.questionsAtOnce, let result = try await group.next() { results.append(result) }
            group.addTask { try await reconcile(review, with: worker) }
          }
          for try await result in group { results.append(result) }
        }
      } catch {
        failure = error
      }
      // Also of a page that could not be finished.
      for result in results { counts.add(result) }
      try await store.countReconciled(results.reduce(into: [:]) { $0[$1.rawValue, default: 0] += 1 })
      if let failure { throw failure }
      guard silent.count == Self.pageMax else { return }
    }
  }

  private func reconcile(
    _ review: SilentReview, with worker: WorkerClient
  ) async throws -> BatonMetrics.ReconcileResult {
    let result = try await result(of: review, answer: await worker.status(of: review.reviewID))
    metrics.reconciled(result).increment()
    logger.log(
      level: result == .lost ? .error : .info, "the worker was asked about a silent review",
      metadata: review.metadata(["was": "\(review.status.rawValue)", "result": "\(result.rawValue)"]))
    return result
  }

  private func result(
    of review: SilentReview, answer: StatusAnswer
  ) async throws -> BatonMetrics.ReconcileResult {
    switch answer {
    case .known(let run) where run.attempt == review.attempt:
      try await store.rememberWorkerAnswers(workerURL)
      guard run.status.reviewStatus != .queued else { return .alive }
      if try await store.report(review.reviewID, RunReport(run)) == .applied {
        metrics.recordEnd(run.status.reviewStatus)
      }
      switch run.status.reviewStatus {
      case .completed: return .completed
      case .failed: return .failed
      case .cancelled: return .cancelled
      default: return .alive
      }
    case .known:
      // It knows another attempt, so it answers, and does not have this one.
      try await store.rememberWorkerAnswers(workerURL)
      return try await forget(review)
    case .unknown, .unsupported:
      guard try await store.workerHasAnswered(workerURL) else {
        // No evidence. A queued row may be started again, which an idempotent worker answers with the present status.
        return review.status == .queued ? try await forget(review) : .unanswered
      }
      return try await forget(review)
    case .failed(let message):
      logger.warning(
        "the worker could not be asked about a silent review",
        metadata: review.metadata(["error": "\(message)"]))
      return .unanswered
    }
  }

  /// The worker does not have it: a queued one is published again, a running one has been lost.
  private func forget(_ review: SilentReview) async throws -> BatonMetrics.ReconcileResult {
    if review.status == .running {
      let message = "the worker no longer knows this run"
      guard try await store.failLost(review, message: message) else { return .alive }
      metrics.ended(.failed).increment()
      return .lost
    }
    let claim = try await publisher.claiming(as: holder) { try await store.forgetDispatch(review, by: holder) }
    guard let claim else { return .alive }
    _ = await publisher.publish([claim])
    return .republished
  }
}

extension SilentReview {
  fileprivate func metadata(_ more: Logger.Metadata) -> Logger.Metadata {
    .review(reviewID, attempt: attempt, trace, more)
  }
}

extension RunReport {
  /// What a worker answered about a run, as if it had called back.
  init(_ run: RunStatus) {
    self.init(
      status: run.status.reviewStatus, attempt: run.attempt, sessionId: run.sessionId, cliSessionId: run.cliSessionId,
      errorMessage: run.errorMessage, model: run.usage?.model, totalTokensIn: run.usage?.totalTokensIn,
      totalTokensOut: run.usage?.totalTokensOut, totalCostMicrousd: run.usage?.totalCostMicroUSD,
      gateResult: run.gateResult?.rawValue)
  }
}

extension ReapCounts {
  fileprivate mutating func add(_ result: BatonMetrics.ReconcileResult) {
    switch result {
    case .alive, .completed, .failed, .cancelled: reconciled += 1
    case .republished: forgotten += 1
    case .lost: workerLost += 1
    case .unanswered: unanswered += 1
    }
  }
}
