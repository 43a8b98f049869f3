internal import FoundationEssentials
internal import Resilience
internal import ReviewStore
internal import WorkerClient

extension Consumer {
  /// Finds out whether a worker that was unavailable answers again: asks it about a review that does not exist, as ``WorkerProbe`` decides, until
  /// the task is cancelled.
  func askUnavailableWorker() async {
    var probe = WorkerProbe()
    while !Task.isCancelled {
      try? await environment.sleep(for: .seconds(1))
      switch probe.tick(probeSight) {
      case .lookForReturn:
        guard let hasAnswered = await answersQuestions(), probe.asked(hasAnswered: hasAnswered) else { continue }
        circuit.mayAnswer()
        // A delivery may be the probe: at once, and not at the next look.
        await watchOnce()
      case .probe:
        guard circuit.admit() == .probe else { continue }
        _ = await recordEvidence(await worker.status(of: Self.noReview))
        await watchOnce()
      case nil: break
      }
    }
  }

  private var probeSight: WorkerProbe.Sight {
    WorkerProbe.Sight(
      isUnavailable: !isDraining && circuit.outage() != nil, isOpen: circuit.openFor != nil,
      isOpenByFailures: circuit.isOpenByFailures, hasReviews: inFlight.count > 0)
  }

  /// Whether the worker answers a question; nil if that cannot be weighed now.
  private func answersQuestions() async -> Bool? {
    switch try? await ledger.weigh(await worker.status(of: Self.noReview), of: workerURL) {
    case .failed: false
    case .known, .unknown: true
    case nil: nil
    }
  }

  /// The id that no review has.
  private static let noReview = UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
}
