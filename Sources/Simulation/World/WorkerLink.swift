internal import Dispatching
internal import FoundationEssentials
internal import Primitives
internal import Reviews
internal import WorkerAPI
internal import WorkerClient

/// The worker, as one simulated process reaches it: each row of the table of answers happens.
struct WorkerLink: Worker {
  let process: Scheduler.ProcessID
  let world: World

  private var network: Network { world.network }
  private static let timeout: Duration = .seconds(10)
  private static let connectTimeout: Duration = .seconds(5)

  func start(_ body: [UInt8], reviewID: UUID, attempt: Int, trace: TraceContext?) async -> DispatchOutcome {
    let number = world.number(of: reviewID)
    world.recorder.note(.posting(review: number, attempt: attempt))
    let answer = await answer(reviewID, attempt)
    world.recorder.note(.answered(review: number, attempt: attempt, answer.text))
    if world.scenario.plantedFault == .postAgain, case .dispatched = answer {
      world.postAgain(reviewID, attempt, by: process)
    }
    return answer
  }

  private func answer(_ id: UUID, _ attempt: Int) async -> DispatchOutcome {
    let rates = world.scenario.worker
    if network.isCut(process, .worker, .requests) || network.has(.workerAway) {
      try? await world.scheduler.sleep(for: network.has(.workerAway) ? .milliseconds(5) : Self.connectTimeout)
      return .unavailable(message: "no connection")
    }
    await network.delay(.milliseconds(1) ... .milliseconds(20))
    if network.has(.workerHidden) { return .outage(message: "403") }
    if network.has(.workerThrottles) { return .throttled(retryAfter: .seconds(2), message: "429") }
    if network.chance(rates.unavailable) { return .unavailable(message: "refused connection") }
    if network.chance(rates.throttled) { return .throttled(retryAfter: .seconds(1), message: "503") }
    if network.chance(rates.again) { return .again(message: "425") }
    if network.chance(rates.refused), !isKnown(id, attempt) { return .refused(message: "422") }
    if network.chance(rates.ambiguousBefore) { return .ambiguous(message: "connection lost") }
    if network.chance(rates.late) {
      let delay = network.duration(.seconds(1) ... .seconds(40))
      world.scheduler.spawn(as: 0) {
        try? await world.scheduler.sleep(for: delay)
        _ = world.worker.start(id, attempt: attempt, in: world)
      }
      return await timedOut()
    }
    if network.has(.workerSlow) {
      try? await world.scheduler.sleep(for: network.duration(.seconds(2) ... .seconds(14)))
    }
    guard let state = world.worker.start(id, attempt: attempt, in: world) else {
      return .refused(message: "409: a later attempt is known")
    }
    if network.has(.workerSlow) || network.isCut(process, .worker, .answers) { return await timedOut() }
    if network.chance(rates.ambiguousAfter) { return .ambiguous(message: "502", isAnswer: true) }
    await network.delay(.milliseconds(1) ... .milliseconds(20))
    return .dispatched(StartResponse(reviewId: id, status: state))
  }

  private func isKnown(_ id: UUID, _ attempt: Int) -> Bool {
    if case .known(let run) = world.worker.status(of: id) { return run.attempt >= attempt }
    return false
  }

  private func timedOut() async -> DispatchOutcome {
    try? await world.scheduler.sleep(for: Self.timeout)
    return .ambiguous(message: "no answer in time")
  }

  func status(of reviewID: UUID) async -> StatusAnswer {
    let answer = await statusAnswer(reviewID)
    var attempt: Int?
    if case .known(let run) = answer { attempt = run.attempt }
    world.recorder.note(.asked(review: world.number(of: reviewID), attempt: attempt, answer.text))
    return answer
  }

  private func statusAnswer(_ id: UUID) async -> StatusAnswer {
    guard await isReached() else { return .failed(message: "no answer") }
    if network.has(.workerHidden) { return .unsupported(message: "404") }
    return world.worker.status(of: id)
  }

  func cancel(_ reviewID: UUID, attempt: Int) async -> CancelAnswer {
    guard await isReached(), !network.has(.workerHidden) else { return .failed(message: "no answer") }
    let answer = world.worker.cancel(reviewID, attempt: attempt, in: world)
    world.notified(Checker.Key(review: world.number(of: reviewID), attempt: attempt))
    return answer
  }

  private func isReached() async -> Bool {
    if network.has(.workerAway) { return false }
    if network.isCut(process, .worker) || network.has(.workerSlow) && network.chance(0.5) {
      try? await world.scheduler.sleep(for: Self.timeout)
      return false
    }
    await network.delay(.milliseconds(1) ... .milliseconds(20))
    return !network.has(.workerThrottles)
  }
}

extension DispatchOutcome {
  fileprivate var text: String {
    switch self {
    case .dispatched: "dispatched"
    case .unavailable: "unavailable"
    case .throttled: "throttled"
    case .ambiguous: "ambiguous"
    case .refused: "refused"
    case .again: "again"
    case .outage: "outage"
    }
  }
}

extension StatusAnswer {
  fileprivate var text: String {
    switch self {
    case .known(let run): "attempt \(run.attempt) \(run.status)"
    case .unknown: "unknown"
    case .unsupported: "unsupported"
    case .failed: "failed"
    }
  }
}
