internal import Logging
internal import Resilience
package import ReviewStore
internal import Reviews
internal import Synchronization

/// A search for claims whose answer was lost: the statement may have been carried out nevertheless.
struct ClaimSearch {
  var holder: Holder.ID
  var due: ContinuousClock.Instant
  /// Looks that are left. Postgres may still be busy with the statement when the connection is back, so one look is not enough.
  var looksLeft = 2
  /// Looks in a row that failed.
  var failures = 0

  /// Between two looks.
  static let interval: Duration = .seconds(1)
  /// The most that one look finds; the next one finds the rest.
  static let countMax = 10_000
}

// What is owed: claims whose tickets were not confirmed, and claims that this process does not know of.
extension ClaimPublisher {
  /// The most tickets of one try.
  private static let batchMax = 1_000

  /// Runs a statement that claims for this process. If its answer is lost, what it has claimed is looked for at once, and published.
  package func claiming<Result: Sendable>(
    as holder: Holder.ID, _ statement: () async throws -> Result
  ) async throws -> Result {
    do {
      return try await statement()
    } catch {
      state.withLock { $0.search = ClaimSearch(holder: holder, due: environment.now) }
      settleOwed()
      throw error
    }
  }

  /// Gives back what is still owed, for other processes to claim at once. To be called when this process claims nothing more.
  package func close() async {
    let settling = state.withLock { state in
      state.isClosed = true
      return state.settling
    }
    wakeup.wake()
    await settling?.value
    await publications.finish()
    let owed = state.withLock { $0.owed }
    do {
      try await ledger.unclaim(owed, reason: "the broker did not take the ticket")
    } catch {
      logger.error(
        "claims not given back; the reaper publishes them", metadata: ["count": "\(owed.count)", "error": "\(error)"])
    }
  }

  /// Has a task settle what is owed, unless one does already or nothing is.
  func settleOwed() {
    state.withLock { state in
      guard state.settling == nil, Self.nextStep(state) != nil else { return }
      // It goes on whatever happens to the caller.
      state.settling = Task.onSameExecutor { await self.settle() }
    }
    wakeup.wake()
  }

  /// When there is something to do next; nil if nothing is left to do.
  private static func nextStep(_ state: State) -> ContinuousClock.Instant? {
    guard !state.isClosed else { return nil }
    return [state.owed.isEmpty ? nil : state.due, state.search?.due].compactMap(\.self).min()
  }

  private func settle() async {
    while true {
      let (next, ready) = state.withLock { state in
        let next = Self.nextStep(state)
        if next == nil { state.settling = nil }
        return (next, state.ready)
      }
      guard let next else {
        ready?.wake()
        return
      }
      _ = try? await wakeup.wait(until: next)
      await lookForClaims()
      await publishOwed()
    }
  }

  // MARK: Publishing again

  private func publishOwed() async {
    let batch = state.withLock { state -> [Claim] in
      guard !state.isClosed, !state.owed.isEmpty, state.due <= environment.now else { return [] }
      let batch = Array(state.owed.prefix(min(state.pace.limit, Self.batchMax)))
      state.owed.removeFirst(batch.count)
      state.inFlight.formUnion(batch)
      state.isRepeating = true
      return batch
    }
    guard !batch.isEmpty else { return }
    do {
      let owed = try await ledger.owed(batch)
      let settled = Set(batch).subtracting(owed)
      state.withLock { state in
        state.inFlight.subtract(settled)
        if owed.isEmpty { state.isRepeating = false }
      }
      _ = await tryToPublish(owed, isRepeated: true)
    } catch {
      // While Postgres does not answer, no consumer could lease a review either.
      logger.debug("owed tickets not published: the rows could not be read", metadata: ["error": "\(error)"])
      state.withLock { state in
        state.inFlight.subtract(batch)
        state.isRepeating = false
        state.owed = batch + state.owed
        state.due = environment.now + ClaimSearch.interval
      }
    }
  }

  // MARK: Claims whose answer was lost

  private func lookForClaims() async {
    guard let search = state.withLock({ $0.search }), search.due <= environment.now else { return }
    do {
      let found = try await ledger.ownClaims(of: search.holder, limit: ClaimSearch.countMax)
      let noted = publications.noted
      let lost = state.withLock { state in
        let lost = found.filter { !noted.contains($0) && !state.inFlight.contains($0) && !state.owed.contains($0) }
        if state.owed.isEmpty { state.due = environment.now }
        state.owed += lost
        // Unless another answer was lost in the meantime, which begins a new search.
        if state.search?.due == search.due { state.search = search.next(isDone: true, environment) }
        return lost
      }
      if !lost.isEmpty {
        logger.notice("claims found whose answer was lost: publishing them", metadata: ["count": "\(lost.count)"])
      }
    } catch {
      logger.debug("own claims not looked for", metadata: ["error": "\(error)"])
      state.withLock { if $0.search?.due == search.due { $0.search = search.next(isDone: false, environment) } }
    }
  }
}

extension ClaimSearch {
  /// What is left of the search after a look.
  func next(isDone: Bool, _ environment: DispatchEnvironment) -> ClaimSearch? {
    var next = self
    next.looksLeft -= isDone ? 1 : 0
    next.failures = isDone ? 0 : failures + 1
    next.due =
      environment.now
      + (isDone
        ? Self.interval
        : DispatchPolicy.statementRetry.delay(attempt: failures, from: environment.random) + .milliseconds(50))
    return next.looksLeft > 0 ? next : nil
  }
}
