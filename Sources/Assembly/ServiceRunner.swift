internal import Glibc
package import Logging
package import ServiceLifecycle
internal import Synchronization
internal import Telemetry
internal import UnixSignals

/// Runs services until a signal: the first SIGTERM, SIGINT or SIGHUP drains them, a second one ends the process at once.
package enum ServiceRunner {
  /// What draining may take beyond BATON_DRAIN_TIMEOUT before the process ends anyway.
  private static let overtimeMax: Duration = .seconds(15)

  /// A part of that: what was drained at the last moment is written until then.
  private static let lastWritesMax: Duration = .seconds(3)

  /// A service, and whether it begins before `prepare` has ended.
  package struct Entry: Sendable {
    package var service: any Service
    package var waits: Bool

    /// - Parameters:
    ///   - service: what runs.
    ///   - waits: until `prepare` has ended; it does not begin at all if that fails.
    package init(_ service: any Service, waits: Bool = true) {
      self.service = service
      self.waits = waits
    }
  }

  /// Runs the services until a signal or a failure; those that wait begin when `prepare` has ended. After the failure of one the others are
  /// cancelled, and 15 s later the process ends, whatever still runs.
  /// - Parameters:
  ///   - services: in the order in which they start; they stop in the reverse order.
  ///   - drainTimeout: BATON_DRAIN_TIMEOUT; 15 s after it the process ends, whatever still runs.
  ///   - drainDelay: for how long after SIGTERM the services go on as before: load balancers need this time to notice that the process ends. It is
  ///     a part of `drainTimeout`.
  ///   - logger: says what stops, and why.
  ///   - onStopping: called at the first signal, before `drainDelay` begins.
  ///   - onOvertime: called a moment after BATON_DRAIN_TIMEOUT or a failure, if services still run: ends what they wait for.
  ///   - finally: runs when all services have ended, within the same time.
  ///   - prepare: runs first, next to the services that do not wait; its failure ends them. A signal in that time ends the process at once, with
  ///     status 0, because nothing is in flight yet. nil if there is nothing to wait for.
  package static func run(
    _ services: [Entry], drainTimeout: Duration, drainDelay: Duration = .zero, logger: Logger,
    onStopping: @escaping @Sendable () -> Void = {}, onOvertime: @escaping @Sendable () async -> Void = {},
    finally: @Sendable () async -> Void = {}, prepare: (@Sendable () async throws -> Void)? = nil
  ) async throws {
    let signals = await UnixSignalsSequence(
      trapping: isHangUpIgnored ? [.sigterm, .sigint] : [.sigterm, .sigint, .sighup])
    let running = Mutex<ServiceGroup?>(nil)
    let prepared = Milestone()
    if prepare == nil { prepared.reach() }
    let listening = Task {
      var isStopping = false
      for await signal in signals {
        guard !isStopping else {
          logger.warning("second signal: ending at once", metadata: ["signal": "\(signal)"])
          exit(130)
        }
        isStopping = true
        logger.notice("stopping", metadata: ["signal": "\(signal)"])
        guard prepared.isReached, let group = running.withLock({ $0.take() }) else { exit(0) }
        onStopping()
        Task {
          // A person at a terminal does not wait for load balancers.
          let delay = signal == .sigterm ? drainDelay : .zero
          try await Task.sleep(for: delay)
          await group.triggerGracefulShutdown()
          try await Task.sleep(for: drainTimeout - delay)
          try await end(onOvertime) {
            logger.error("not drained in time: ending anyway; what is left is recovered by other processes")
          }
        }
      }
    }
    defer { listening.cancel() }
    let ending = Mutex<Task<Void, any Error>?>(nil)
    defer { ending.withLock { $0 }?.cancel() }
    let onFailure: @Sendable (String, (any Error)?) -> Void = { service, error in
      ending.withLock { ending in
        guard ending == nil else { return }
        logger.error(
          "a service has ended without being asked to: the others are ended",
          metadata: ["service": "\(service)", "error": "\(error.map { "\($0)" } ?? "none")"])
        ending = Task {
          try await end(onOvertime) {
            logger.error(
              "a service has failed, and others do not end: ending anyway; what is left is recovered by other processes"
            )
          }
        }
      }
    }
    let preparation = Task {
      try await prepare?()
      prepared.reach()
    }
    defer { preparation.cancel() }
    let group = ServiceGroup(
      configuration: .init(
        services: services.map { entry in
          let service = NamedService(entry.service)
          return .init(
            service: WatchedService(
              service: service, preparation: entry.waits ? preparation : nil, onFailure: onFailure))
        }, logger: logger))
    running.withLock { $0 = group }
    do {
      try await group.run()
    } catch {
      await finally()
      throw error
    }
    await finally()
  }

  /// Ends the process, if it does not end by itself in the next 15 s.
  private static func end(_ onOvertime: @escaping @Sendable () async -> Void, _ report: () -> Void) async throws {
    try await Task.sleep(for: lastWritesMax)
    Task { await onOvertime() }
    try await Task.sleep(for: overtimeMax - lastWritesMax)
    report()
    exit(1)
  }
}

extension ServiceRunner {
  /// Whether the process was started so that the end of its terminal does not concern it, as by `nohup`.
  private static var isHangUpIgnored: Bool {
    var action = sigaction()
    guard sigaction(SIGHUP, nil, &action) == 0 else { return false }
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}

/// A service that begins when the process has been prepared, and whose end is watched.
private struct WatchedService: Service, CustomStringConvertible {
  let service: NamedService
  /// Its error becomes the service's, and ends the group with it; nil if the service does not wait for it.
  let preparation: Task<Void, any Error>?
  /// Called when the service ends and was not asked to: the group cancels the others.
  let onFailure: @Sendable (_ service: String, (any Error)?) -> Void

  var description: String { service.description }

  func run() async throws {
    do {
      if let preparation {
        try await withTaskCancellationHandler {
          try await preparation.value
        } onCancel: {
          preparation.cancel()
        }
      }
      try await service.run()
    } catch {
      if !Task.isShuttingDownGracefully { onFailure(description, error) }
      throw error
    }
    if !Task.isShuttingDownGracefully { onFailure(description, nil) }
  }
}

/// A service that has nothing to drain: it is cancelled when its turn to stop comes.
package struct BackgroundService: Service {
  private let body: @Sendable () async throws -> Void

  package init(_ body: @escaping @Sendable () async throws -> Void) { self.body = body }

  package func run() async throws {
    try await cancelWhenGracefulShutdown { try await body() }
  }
}
