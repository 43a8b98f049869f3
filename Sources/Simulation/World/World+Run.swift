internal import FoundationEssentials
internal import InMemoryReviewQueue
internal import InMemoryReviewStore
internal import Primitives
internal import ReviewQueue
internal import ReviewStore
internal import Reviews

// What happens in a world, from its beginning to its end.
extension World {
  /// After everything is healed, a review has to end within this time, and each further one within it after that: those of an owner with a
  /// limit of 1 run one after another, and each may be one whose callback was lost.
  static let drainMax: Duration = .seconds(300)

  /// Lets it begin; ``isDone`` says when it has ended.
  func begin() {
    queue.fault = { [network] _ in
      if network.has(.publishesRefused) { return .nacked }
      if network.has(.publishesReturned) { return .returned }
      if network.has(.confirmsLost) { return .confirmLost(isQueued: network.chance(0.5)) }
      return nil
    }
    for (owner, limit) in scenario.limits.enumerated() {
      spawn { [self] in
        try? await ledger.setLimit(of: self.owner(owner), to: scenario.plantedFault == .exceedLimits ? 100 : limit)
        try? await ledger.setConfiguration("{}", of: self.owner(owner), platform: .github)
      }
    }
    for place in 0..<scenario.placeCount { startProcess(at: place) }
    for review in scenario.reviews { spawn(at: review.time) { [self] in await submit(review) } }
    for operation in scenario.operations { spawn(at: operation.time) { [self] in await operate(operation.kind) } }
    for fault in scenario.faults { spawn(at: fault.time) { [self] in await inflict(fault) } }
    spawn { [self] in await observe() }
    if scenario.plantedFault == .reviveEnded {
      spawn(at: .seconds(3)) { [self] in if let id = id(of: 0) { await cancel(id, 0, .cancelledByUser) } }
    }
  }

  func owner(_ number: Int) -> Owner { Owner(type: .user, id: "owner-\(number)") }

  private func spawn(at time: Duration = .zero, _ body: @escaping @Sendable () async -> Void) {
    scheduler.spawn(as: 0) {
      if time > .zero { try? await self.scheduler.sleep(for: time) }
      await body()
    }
  }

  private func observe() async {
    var quiet = 0
    var ended = 0
    var last = scenario.healed
    while scheduler.elapsed < last + Self.drainMax {
      try? await scheduler.sleep(for: .seconds(1))
      look()
      guard scheduler.elapsed > scenario.healed else { continue }
      if endedCount > ended { (ended, last) = (endedCount, scheduler.elapsed) }
      // What comes late changes nothing any more.
      quiet = isDrained ? quiet + 1 : 0
      if quiet == 3 { break }
    }
    if scenario.plantedFault == .reviveEnded, let first = id(of: 0) {
      _ = try? await ledger.retry(first)
      look()
    }
    end()
  }

  // MARK: Reviews

  /// A push: it supersedes the older reviews of its pull request.
  private func submit(_ planned: Scenario.PlannedReview) async {
    let older = scenario.reviews.filter { $0.pullRequest == planned.pullRequest && $0.time < planned.time }
    for review in older {
      guard let id = id(of: review.number) else { continue }
      await cancel(id, review.number, .superseded)
    }
    let new = NewReview(
      owner: owner(planned.owner), platform: .github, repoFullName: "a/b", prNumber: planned.pullRequest,
      prUrl: "https://github.com/a/b/pull/\(planned.pullRequest)", prTitle: "t", prAuthor: "a", baseRef: "main",
      headRef: "f", headSha: "\(planned.number)", priority: planned.priority)
    guard let submission = try? await ledger.submit(new) else { return }
    add(submission.id, planned.number)
    recorder.note(.submitted(review: planned.number))
  }

  // MARK: Operators

  private func operate(_ kind: Scenario.Operation.Kind) async {
    recorder.note(.operated(kind))
    switch kind {
    case .cancel(let number): if let id = id(of: number) { await cancel(id, number, .cancelledByUser) }
    case .retry(let number):
      guard let id = id(of: number) else { return }
      if case .done(_, let attempt)? = try? await ledger.retry(id) {
        recorder.note(.retried(review: number, attempt: attempt))
      }
    case .pause(let owner, let duration):
      _ = try? await ledger.setPaused(true, self.owner(owner))
      try? await scheduler.sleep(for: duration)
      _ = try? await ledger.setPaused(false, self.owner(owner))
    case .limit(let owner, let limit): try? await ledger.setLimit(of: self.owner(owner), to: limit)
    }
  }

  private func cancel(_ id: UUID, _ number: Int, _ code: ErrorCode) async {
    let answer = try? await ledger.cancel(id, code: code, reason: code.rawValue, actor: "operator")
    if case .done(_, let attempt)? = answer { cancelled(Checker.Key(review: number, attempt: attempt)) }
  }
}
