internal import ArgumentParser
internal import Assembly
internal import Dispatching
internal import FoundationEssentials
internal import Glibc
internal import Logging
internal import Primitives
internal import ReferenceWorker
internal import Resilience
internal import Reviews
internal import Sandbox
internal import ServiceLifecycle
internal import Settings

/// `baton up`
struct UpCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up", abstract: "Runs produce, consume, reap and serve in one process.",
    discussion: """
      With --sandbox also the reference worker and a stand-in for GitHub and GitLab, which plays recorded pull requests: \
      then Postgres and the broker are all that is needed.

      EXAMPLES:
        baton up
        baton up --sandbox, and then: baton submit --sandbox 20 --owners 3 --wait
      """)

  @OptionGroup var common: CommonOptions
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var broker: BrokerOptions
  @OptionGroup var flow: FlowOptions
  @OptionGroup var dispatch: DispatchOptions
  @OptionGroup var worker: WorkerOptions
  @OptionGroup var agent: AgentOptions
  @OptionGroup var http: HTTPOptions
  @OptionGroup var metrics: MetricsOptions
  @OptionGroup var callbacks: CallbackOptions
  @OptionGroup var platforms: PlatformOptions

  @Flag(help: "Also run a worker, and a stand-in for GitHub and GitLab.")
  var sandbox = false

  /// How long each call of the stand-in takes: enough to see reviews being prepared.
  private static let sandboxLatency: ClosedRange<Duration> = .milliseconds(50) ... .milliseconds(200)
  /// How often the reaper of this process passes.
  private static let reapInterval: Duration = .seconds(2)

  /// How many agents the reference worker of the sandbox runs at once.
  private static let sandboxConcurrency = 20

  private func demands(_ settings: Settings) -> [OpenFiles.Demand] {
    let platforms = OpenFiles.Demand.platforms(settings, reviewsAtOnce: settings.prefetch)
    guard sandbox else { return [.clients, .worker(settings), .workerQuestions(clients: 2), platforms] }
    return [
      .clients, .worker(settings).withBothEnds, .workerQuestions(clients: 2).withBothEnds, platforms.withBothEnds,
      .agents(Self.sandboxConcurrency), .callbacks,
    ]
  }

  func run() async throws {
    let fakePlatformPort = sandbox ? try freePort() : 0
    let workerPort = sandbox ? try freePort() : 0
    let (settings, logger) = try common.loadForRole(
      "up", [database, broker, flow, dispatch, worker, agent, http, metrics, callbacks, platforms],
      requiring: [.databaseURL, .amqpURL, .workerURL, .workerToken, .encryptionKey]
    ) { settings in
      guard sandbox else { return }
      settings.workerURL = "http://127.0.0.1:\(workerPort)"
      settings.githubAPIURL = "http://127.0.0.1:\(fakePlatformPort)"
      settings.gitlabHosts = ["127.0.0.1:\(fakePlatformPort)"]
      settings.workerToken = settings.workerToken ?? SecretList(.random())
      settings.agentCommand =
        settings.agentCommand ?? SandboxAgentCommand.shellCommand(api: "http://127.0.0.1:\(fakePlatformPort)")
      settings.callbackSecret = settings.callbackSecret ?? SecretList(.random())
      settings.encryptionKey = settings.encryptionKey ?? SecretList(.random())
      settings.given.formUnion([.workerURL, .workerToken, .encryptionKey])
    }
    let process = try DispatcherProcess(
      "up", role: "consume", version: Baton.version, settings: settings, demands: demands(settings), logger: logger)
    let platforms = try PlatformAssembly(process)
    let assembly = try ConsumerAssembly(process, platforms)
    let consumer = assembly.consumer
    let session = process.holderSession { consumer.report }
    let reconnected = Wakeup()
    var services: [any Service] = [
      session, process.publisherService(waking: session.pendingWakeup, reconnected), platforms.connections,
    ]
    if sandbox {
      services.append(
        FakePlatform(host: "127.0.0.1", port: fakePlatformPort, latency: Self.sandboxLatency, logger: logger))
      services.append(
        ReferenceWorker(
          configuration: try .init(
            settings, host: "127.0.0.1", port: workerPort, concurrency: Self.sandboxConcurrency, files: process.files,
            logger: logger),
          logger: logger))
    }
    services += process.serverServices(platforms)
    let workerClient = try process.workerClient()
    if let workerClient {
      services.append(process.cancelDelivery(to: workerClient, wakeup: session.outboxWakeup))
    }
    services += [
      try process.server(),
      process.reaper(worker: workerClient, interval: Self.reapInterval, wakeup: reconnected),
      consumer,
      process.producer(wakeup: session.pendingWakeup),
    ]
    try await process.run(services)
  }

  /// A free port of the loopback interface.
  private func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Failure(.failed, "no socket can be had (errno \(errno))") }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
      }
    }
    guard isBound else { throw Failure(.failed, "no free port can be had (errno \(errno))") }
    return Int(UInt16(bigEndian: address.sin_port))
  }
}
