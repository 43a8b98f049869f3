internal import CoreMetrics
internal import Dispatching
internal import Logging
internal import Resilience
internal import ReviewStore
internal import ServiceLifecycle
internal import Synchronization
internal import Telemetry

/// One process of Baton: the real services of its role, over the world's ports.
final class SimulatedProcess: Sendable {
  let id: Scheduler.ProcessID
  let place: InjectedFault.Place
  let name: String
  let holder: Holder
  let subscription: SubscriptionLink?
  private let group: ServiceGroup
  private let wakeups: [Wakeup]
  private let ended = Atomic(false)

  private static let silent = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }
  private static let metrics = BatonMetrics(factory: NOOPMetricsHandler.instance)
  static let workerURL = "http://worker"

  init(id: Scheduler.ProcessID, place: InjectedFault.Place, world: World) {
    self.id = id
    self.place = place
    let role = world.scenario.role(of: place)
    name = "\(role.rawValue)-\(place)#\(id)"
    let holder = Holder(role: role.rawValue, host: "host-\(place)", processID: Int32(id))
    self.holder = holder
    let policy = world.policy
    let ledger = world.ledger
    let environment = world.environment
    let clock = environment.clock
    let holderState = HolderState(timeout: policy.heartbeatTimeout, clock: clock)
    let broker = BrokerLink(process: id, world: world)
    let worker = WorkerLink(process: id, world: world)
    let publisher = ClaimPublisher(
      queue: broker, ledger: ledger, environment: environment, metrics: Self.metrics, logger: Self.silent)
    func session(_ report: @escaping @Sendable () -> Holder.Report = { Holder.Report() }) -> HolderSession {
      HolderSession(
        holder: holder, state: holderState, ledger: ledger, interval: policy.heartbeatInterval,
        idleInterval: role == .reap ? policy.heartbeatInterval : policy.idleHeartbeatInterval, report: report,
        environment: environment, logger: Self.silent)
    }

    var services: [any Service]
    switch role {
    case .produce:
      let session = session()
      subscription = nil
      wakeups = [session.pendingWakeup]
      services = [
        session,
        Producer(
          ledger: ledger, publisher: publisher, holder: holder.id, holderState: holderState,
          wakeup: session.pendingWakeup, policy: policy, environment: environment, metrics: Self.metrics,
          logger: Self.silent),
      ]
    case .consume:
      let subscription = SubscriptionLink(process: id, world: world, prefetch: policy.prefetch)
      self.subscription = subscription
      wakeups = []
      let consumer = Consumer(
        Consumer.Dependencies(
          ledger: ledger, subscription: subscription, queue: broker, preparer: SimulatedPreparer(world: world),
          worker: worker, workerURL: Self.workerURL, workerCircuit: Circuit(name: "worker", clock: clock),
          keys: KeyWatch(clock: clock) { nil }, holderState: holderState, metrics: Self.metrics,
          environment: environment),
        holder: holder.id, policy: policy, logger: Self.silent)
      services = [session { consumer.report }, consumer]
    case .reap:
      let session = session()
      let wakeup = Wakeup(clock: clock)
      subscription = nil
      wakeups = [wakeup]
      services = [session]
      if world.scenario.plantedFault != .noReaper, world.scenario.plantedFault != .loseReviews {
        services.append(
          Reaper(
            Reaper.Dependencies(
              ledger: ledger, recoveryLedger: ledger, publisher: publisher, worker: worker,
              workerURL: Self.workerURL, holderState: holderState, metrics: Self.metrics, environment: environment),
            holder: holder.id, policy: policy, interval: .seconds(2), wakeup: wakeup, logger: Self.silent))
      }
      services.append(
        CancelRelay(
          ledger: ledger, worker: worker, callTimeout: policy.workerTimeout, wakeup: session.outboxWakeup,
          interval: policy.pollInterval, environment: environment, logger: Self.silent))
    }
    group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: services.map { ServiceGroupConfiguration.ServiceConfiguration(service: NamedService($0)) },
        logger: Self.silent))
  }

  /// Runs until it is asked to end, or killed.
  func run() async {
    try? await group.run()
    ended.store(true, ordering: .relaxed)
  }

  /// Whether it has ended by itself.
  var hasEnded: Bool { ended.load(ordering: .relaxed) }

  /// As SIGTERM does.
  func stop() async { await group.triggerGracefulShutdown() }

  /// The broker can be reached again.
  func brokerIsBack() {
    subscription?.healed()
    for wakeup in wakeups { wakeup.wake() }
  }
}
