internal import Assembly
internal import Glibc
internal import Platforms
internal import Primitives
internal import ReferenceWorker
internal import Reviews
internal import ServiceLifecycle
internal import Settings

/// What `baton up --sandbox` runs next to the roles: the reference worker, and `baton-sandbox` for GitHub, GitLab and the agent.
struct LocalSandbox: Sendable {
  /// How many agents run at once.
  static let concurrency = 20
  private static let host = "127.0.0.1"

  private let program: SandboxProgram
  private let platformPort: Int
  private let workerPort: Int

  /// - Throws: ``Failure`` if the program is not there.
  init() throws {
    program = try SandboxProgram()
    platformPort = try Self.freePort()
    workerPort = try Self.freePort()
  }

  /// Points the settings at the sandbox, and makes the secrets that no one has given.
  func complete(_ settings: inout Settings) {
    let api = "http://\(Self.host):\(platformPort)"
    settings.workerURL = "http://\(Self.host):\(workerPort)"
    settings.githubAPIURL = api
    settings.gitlabHosts = ["\(Self.host):\(platformPort)"]
    settings.workerToken = settings.workerToken ?? SecretList(.random())
    settings.agentCommand = settings.agentCommand ?? program.agentCommand(api: api)
    settings.callbackSecret = settings.callbackSecret ?? SecretList(.random())
    settings.encryptionKey = settings.encryptionKey ?? SecretList(.random())
    // No load balancer sends it anything.
    settings.drainDelay = .zero
    settings.given.formUnion([.workerURL, .workerToken, .encryptionKey])
    if settings.githubAppID == nil, settings.githubPrivateKey == nil { playApp(in: &settings) }
  }

  /// The stand-in takes any app: with one, checks and reactions of pull requests can be seen too.
  private func playApp(in settings: inout Settings) {
    guard let key = try? GitHubApp.randomKey() else { return }
    (settings.githubAppID, settings.githubPrivateKey) = ("1", key)
  }

  func services(of process: DispatcherProcess) throws -> [any Service] {
    let worker = try WorkerConfiguration(
      process.settings, host: Self.host, port: workerPort, concurrency: Self.concurrency, files: process.files,
      logger: process.logger)
    return [
      program.platforms(port: platformPort), ReferenceWorker(configuration: worker, logger: process.logger),
    ]
  }

  /// A port of the loopback interface that is free now.
  private static func freePort() throws -> Int {
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
