package import Logging
package import Resilience
package import ReviewStore
internal import ServiceLifecycle
package import Telemetry

/// Publishes abandoned reviews again, and asks the worker about silent ones. Any number may run: each review is taken by a
/// conditional update.
///
/// These two loops run concurrently: recovery never waits for a worker.
package struct Reaper: Service {
  private let recovery: Recovery
  private let silent: SilentReviews?
  private let interval: Duration
  private let wakeup: Wakeup
  private let environment: DispatchEnvironment
  private let recoveryLedger: any ReviewLedger

  /// What a reaper works with.
  package struct Dependencies: Sendable {
    package var ledger: any ReviewLedger
    /// Recovery's own, which nothing else uses: slow work elsewhere in this process does not delay it. Closed at the end.
    package var recoveryLedger: any ReviewLedger
    package var publisher: ClaimPublisher
    /// nil if no worker is set: silent reviews are then left alone.
    package var worker: (any Worker)?
    package var workerURL: String
    /// Whether new work may be taken.
    package var holderState: HolderState
    package var metrics: BatonMetrics
    /// Whether the worker's circuit here is the one that the metrics show.
    package var showsCircuit: Bool
    package var environment: DispatchEnvironment

    package init(
      ledger: any ReviewLedger, recoveryLedger: any ReviewLedger, publisher: ClaimPublisher, worker: (any Worker)?,
      workerURL: String, holderState: HolderState, metrics: BatonMetrics, showsCircuit: Bool = false,
      environment: DispatchEnvironment = DispatchEnvironment()
    ) {
      self.ledger = ledger
      self.recoveryLedger = recoveryLedger
      self.publisher = publisher
      self.worker = worker
      self.workerURL = workerURL
      self.holderState = holderState
      self.metrics = metrics
      self.showsCircuit = showsCircuit
      self.environment = environment
    }
  }

  /// - Parameters:
  ///   - dependencies: what it works with.
  ///   - holder: this process: what it takes is claimed for it.
  ///   - policy: its times and limits.
  ///   - interval: between two passes of ``run()``.
  ///   - wakeup: ends the wait between them: the broker can be reached again.
  ///   - logger: for what it reports.
  package init(
    _ dependencies: Dependencies, holder: Holder.ID, policy: DispatchPolicy, interval: Duration, wakeup: Wakeup,
    logger: Logger
  ) {
    recovery = Recovery(dependencies, holder: holder, policy: policy, logger: logger)
    silent = dependencies.worker.map {
      SilentReviews(
        dependencies, worker: $0, holder: holder, policy: policy, interval: max(interval, policy.silentInterval),
        logger: logger)
    }
    self.interval = interval
    self.wakeup = wakeup
    environment = dependencies.environment
    recoveryLedger = dependencies.recoveryLedger
  }

  /// Recovers and asks until the service is shut down; what was taken to be published is published.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      await withDiscardingTaskGroup { group in
        group.addTask { await recovery.run(every: interval, wakeup) }
        if let silent { group.addTask { await silent.run() } }
      }
    }
    await recovery.finish()
    await recoveryLedger.close()
  }

  /// One pass: recovery first, then, for a limited time, the worker.
  /// - Parameters:
  ///   - cancels: delivers the cancels that are due, while the worker is asked; nil if no worker is set.
  ///   - askingMax: the longest that the worker is asked; the silent reviews that are left then are counted.
  package func runOnce(cancels: CancelRelay?, askingMax: Duration) async throws -> ReapCounts {
    var counts = try await recovery.runOnce()
    let deadline = environment.now + askingMax
    async let delivered = cancels?.deliverDue(until: deadline)
    let asked = try await silent?.askDue(until: deadline)
    if let asked { counts.take(asked) }
    counts.cancelsDelivered = try await delivered ?? 0
    counts.cancelsLeft = try await cancels?.countDue() ?? 0
    await recovery.finish()
    await recoveryLedger.close()
    return counts
  }
}
