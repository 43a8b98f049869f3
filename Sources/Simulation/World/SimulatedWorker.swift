internal import FoundationEssentials
internal import InMemoryReviewStore
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Synchronization
internal import WorkerAPI
internal import WorkerClient

/// The worker: it starts each attempt once, unless it is not idempotent; it remembers cancels, runs for the planned time and calls back.
final class SimulatedWorker: Sendable {
  private struct Run {
    var attempt: Int
    var state: RunState
  }

  private struct State {
    var runs: [UUID: Run] = [:]
    /// Attempts up to this one are cancelled.
    var cancelled: [UUID: Int] = [:]
  }

  private let state = Mutex(State())

  /// - Returns: nil if it knows a later attempt.
  func start(_ id: UUID, attempt: Int, in world: World) -> RunState? {
    let (answer, isNew, isAgain) = state.withLock { state -> (RunState?, Bool, Bool) in
      let known = state.runs[id]
      if let known {
        if known.attempt > attempt { return (nil, false, false) }
        if known.attempt == attempt, world.scenario.isWorkerIdempotent || known.state == .cancelled {
          return (known.state, false, false)
        }
      }
      let isCancelled = state.cancelled[id].map { attempt <= $0 } ?? false
      state.runs[id] = Run(attempt: attempt, state: isCancelled ? .cancelled : .running)
      return (isCancelled ? .cancelled : .queued, true, known?.attempt == attempt)
    }
    guard isNew else { return answer }
    let number = world.number(of: id)
    world.started(Checker.Key(review: number, attempt: attempt))
    if answer == .cancelled {
      world.recorder.note(.ended(review: number, attempt: attempt, "cancelled"))
    } else {
      world.recorder.note(
        isAgain ? .startedAgain(review: number, attempt: attempt) : .started(review: number, attempt: attempt))
      world.scheduler.spawn(as: 0) { await self.run(id, attempt: attempt, in: world) }
    }
    return answer
  }

  func status(of id: UUID) -> StatusAnswer {
    guard let run = state.withLock({ $0.runs[id] }) else { return .unknown }
    return .known(RunStatus(reviewId: id, attempt: run.attempt, status: run.state))
  }

  func cancel(_ id: UUID, attempt: Int, in world: World) -> CancelAnswer {
    let (answer, ended) = state.withLock { state -> (CancelAnswer, Int?) in
      state.cancelled[id] = max(attempt, state.cancelled[id] ?? 0)
      guard let run = state.runs[id] else { return (.unknown, nil) }
      guard run.attempt <= attempt, !run.state.isTerminal else { return (.done(success: false), nil) }
      state.runs[id]?.state = .cancelled
      return (.done(success: true), run.attempt)
    }
    if let ended { world.recorder.note(.ended(review: world.number(of: id), attempt: ended, "cancelled")) }
    return answer
  }

  private func run(_ id: UUID, attempt: Int, in world: World) async {
    let number = world.number(of: id)
    await callBack(id, attempt, .running, in: world)
    try? await world.scheduler.sleep(for: world.planned(number).run)
    let result: RunState = world.network.chance(world.scenario.worker.runFails) ? .failed : .completed
    let hasEnded = state.withLock { state in
      guard state.runs[id]?.attempt == attempt, state.runs[id]?.state == .running else { return false }
      state.runs[id]?.state = result
      return true
    }
    guard hasEnded else { return }
    world.recorder.note(.ended(review: number, attempt: attempt, result == .failed ? "failed" : "completed"))
    await callBack(id, attempt, result == .failed ? .failed : .completed, in: world)
  }

  /// A callback is sent in a task of its own: it may be lost, late, doubled, and overtaken by a later one.
  private func callBack(_ id: UUID, _ attempt: Int, _ status: ReviewStatus, in world: World) async {
    let rates = world.scenario.worker
    for _ in 0..<(world.network.chance(rates.callbackDoubled) ? 2 : 1) {
      if world.network.chance(rates.callbackLost) {
        note("is lost", id, attempt, status, in: world)
        continue
      }
      let isLate = world.network.chance(rates.callbackLate)
      let delay = world.network.duration(
        isLate ? .seconds(1) ... .seconds(30) : .milliseconds(1) ... .milliseconds(20))
      Task.detached { await self.send(id, attempt, status, after: delay, in: world) }
    }
  }

  /// Without an answer it is sent again, some times.
  private func send(_ id: UUID, _ attempt: Int, _ status: ReviewStatus, after delay: Duration, in world: World) async {
    try? await world.scheduler.sleep(for: delay)
    for _ in 0..<4 {
      if world.network.has(.callbacksLost) || world.network.has(.ledgerAway) {
        return note("is lost", id, attempt, status, in: world)
      }
      let number = world.number(of: id)
      let answer = try? await world.ledger.report(
        id, RunReport(status: status, attempt: attempt, sessionId: "\(number)/\(attempt)"))
      note(answer.map { "\($0)" } ?? "refused", id, attempt, status, in: world, isApplied: answer == .applied)
      guard world.network.has(.callbackAnswersLost) else { return }
      try? await world.scheduler.sleep(for: .seconds(2))
    }
  }

  private func note(
    _ what: String, _ id: UUID, _ attempt: Int, _ status: ReviewStatus, in world: World, isApplied: Bool = false
  ) {
    world.recorder.note(
      .calledBack(
        review: world.number(of: id), attempt: attempt, "\(status.rawValue): \(what)", isApplied: isApplied))
  }
}
