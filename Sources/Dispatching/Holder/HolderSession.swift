package import Logging
package import Resilience
package import ReviewStore
internal import ServiceLifecycle

/// Keeps this process known as a holder, and receives the notifications, on a session of its own.
///
/// The session also sends the heartbeats: no slow statement and no busy pool delays them. While it is disconnected or does not answer, the
/// heartbeats are sent without it, so that what this process holds stays its own.
///
/// Listed before the roles that claim or lease, so that it stops after them: it leaves when they have drained.
package struct HolderSession: Service {
  package let holder: Holder
  /// What the roles ask before they take new work.
  package let state: HolderState
  /// Woken when reviews may have become due; also after every reconnect, because notifications may have been missed.
  package let pendingWakeup: Wakeup
  /// Woken when something was put into the outbox.
  package let outboxWakeup: Wakeup
  private let ledger: any HolderLedger
  private let session: any LedgerSession
  private let interval: Duration
  private let idleInterval: Duration
  private let report: @Sendable () -> Holder.Report
  private let environment: DispatchEnvironment
  private let logger: Logger

  /// When the session has not answered a heartbeat for this time, the heartbeats are sent without it as well.
  private static let aloneAfter: Duration = .milliseconds(500)
  /// A session that has not answered for this time is replaced: Postgres may be gone without closing it.
  private static let replaceAfter: Duration = .seconds(5)

  /// - Parameters:
  ///   - holder: this process.
  ///   - state: kept by this session.
  ///   - ledger: where the reviews are.
  ///   - events: what this process acts on. Each review wakes all processes that listen for it, and their sessions.
  ///   - interval: between heartbeats.
  ///   - idleInterval: between heartbeats while this process works on no review.
  ///   - report: what the heartbeat says; asked on every beat.
  ///   - environment: clock, randomness, and where the roles work that an event wakes.
  ///   - logger: for what it reports.
  package init(
    holder: Holder, state: HolderState, ledger: any HolderLedger,
    hearing events: Set<LedgerEvent> = [.reviewsDue, .cancelsDue], interval: Duration, idleInterval: Duration,
    report: @escaping @Sendable () -> Holder.Report = { Holder.Report() },
    environment: DispatchEnvironment = DispatchEnvironment(), logger: Logger
  ) {
    self.holder = holder
    self.state = state
    self.ledger = ledger
    self.interval = interval
    self.idleInterval = idleInterval
    self.report = report
    self.environment = environment
    pendingWakeup = Wakeup(clock: environment.clock)
    outboxWakeup = Wakeup(clock: environment.clock)
    self.logger = logger
    session = ledger.session(of: holder, hearing: events) { state.signedOn(since: $0) }
    state.follow(session)
  }

  package func run() async throws {
    await cancelWhenGracefulShutdown {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await session.run() }
        // Where the roles work: those that an event wakes go on there, without a change of threads.
        group.addTask { await withTaskExecutorPreference(environment.executor) { await hear() } }
        group.addTask { await repeatedly { try await beatOnSession() } }
        group.addTask { await repeatedly { try await beatWithoutSession() } }
        group.addTask { await watch() }
        await group.waitForAll()
      }
    }
    await uncancelled { [self] in _ = await within(Self.leaveTimeMax, clock: environment.clock) { await leave() } }
  }

  /// The end of a process does not wait for a silent database any longer.
  private static let leaveTimeMax: Duration = .seconds(5)

  /// What this process still had is free at once.
  private func leave() async {
    do {
      try await ledger.leave(holder.id)
    } catch {
      logger.warning("could not sign off; others wait for the heartbeat to run out", metadata: ["error": "\(error)"])
    }
  }

  private func hear() async {
    for await event in session.events {
      switch event {
      case .signedOn:
        pendingWakeup.wake()
        outboxWakeup.wake()
      case .reviewsDue: pendingWakeup.wake()
      case .cancelsDue: outboxWakeup.wake()
      }
    }
  }

  /// Runs the body, one call after another; it returns the time until the next call.
  private func repeatedly(_ body: () async throws -> Duration) async {
    while !Task.isCancelled {
      var pause = interval
      do {
        pause = try await body()
      } catch {
        logger.debug("heartbeat failed", metadata: ["error": "\(error)"])
      }
      try? await environment.sleep(for: pause)
    }
  }

  private func beatOnSession() async throws -> Duration {
    guard state.hasSession else { return interval }
    defer { state.restartSilence() }
    let start = environment.now
    defer { state.beat(took: environment.now - start) }
    let report = report()
    let standing = try await session.heartbeat(report)
    if !standing.isKnown {
      logger.notice("this process's row is gone, as after a long silence; it signs on again")
      do {
        try await session.signOn()
      } catch {
        // Without a row and its lock this session is useless: the whole step is repeated.
        session.replace()
        throw error
      }
    }
    state.heard(since: start)
    state.isAsked = standing.isAsked
    let pause = report.inFlight == 0 && report.unleasedTickets == 0 ? idleInterval : interval
    state.pause = pause
    return pause
  }

  private func beatWithoutSession() async throws -> Duration {
    let start = environment.now
    let isAway = !state.hasSession
    let answersUntil = state.pause + Self.aloneAfter
    guard isAway || state.sessionSilence.map({ $0 > answersUntil }) ?? false else { return interval }
    let standing = try await ledger.heartbeat(holder.id, report())
    if !standing.isKnown {
      // A session signs on again by itself, with its lock.
      guard isAway else { return interval }
      try await ledger.register(holder)
    }
    state.heard(since: start)
    state.isAsked = standing.isAsked
    return interval
  }

  /// Replaces a session that does not answer, wakes the roles when they may take work again, and reports both ends of an absence.
  private func watch() async {
    var wasSignedOn = false
    var isAbsenceLogged = false
    while !Task.isCancelled {
      if let silence = state.sessionSilence, silence > Self.replaceAfter {
        logger.warning(
          "the session of this process with Postgres does not answer; it is replaced", metadata: ["for": "\(silence)"])
        state.restartSilence()
        session.replace()
      }
      if state.isAway, !isAbsenceLogged {
        isAbsenceLogged = true
        logger.warning(
          """
          this process is not signed on as a holder: it takes nothing new and keeps what it has; it tries again until \
          that works
          """, metadata: ["reason": "\(state.fault ?? "it has just signed on again")"])
      }
      let isSignedOn = state.isSignedOn
      if isSignedOn, !wasSignedOn {
        if isAbsenceLogged { logger.notice("signed on as a holder again; this process takes work again") }
        isAbsenceLogged = false
        pendingWakeup.wake()
      }
      wasSignedOn = isSignedOn
      try? await environment.sleep(for: interval)
    }
  }
}
