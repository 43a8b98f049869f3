import Foundation
import Logging
import Primitives
import Reviews
import Support
import WorkerAPI
import WorkerClient

/// The real `baton worker` as a process, with its state and its agents' folder; it can be killed and started again at the same address.
final class WorkerTestCluster {
  let folder: String
  var settings: [String: String]
  private(set) var process: BatonProcess
  private(set) var client: WorkerClient
  private(set) var url: String
  private let arguments: [String]
  private let wrapper: [String]

  /// How a test's worker keeps its runs apart, and as whom it runs.
  enum Isolation: String, CaseIterable {
    /// As the tests' user.
    case off
    /// Without any right.
    case unprivileged
    /// Without any right, in namespaces.
    case namespaces
    /// As root, which the tests have to be.
    case users

    /// Those that keep runs apart and can be tried here.
    static let real: [Isolation] = getuid() == 0 ? [.namespaces, .users] : [.namespaces]

    var settings: [String: String] {
      switch self {
      case .off, .unprivileged: [:]
      case .namespaces: ["BATON_AGENT_ISOLATION": rawValue]
      case .users: ["BATON_AGENT_ISOLATION": rawValue, "BATON_AGENT_USERS": "70000-70009"]
      }
    }

    /// What starts the worker as that user.
    var wrapper: [String] {
      guard self == .namespaces || self == .unprivileged, getuid() == 0 else { return [] }
      return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    }

    /// A run's own /tmp hides the one of the tests, and a checkout that lies in it.
    var parent: String {
      guard self != .off else { return FileManager.default.temporaryDirectory.path }
      let checkout = FileManager.default.currentDirectoryPath
      guard ["/tmp/", "/var/tmp/", "/dev/shm/"].contains(where: { checkout.hasPrefix($0) }) else {
        return checkout + "/.local"
      }
      return getuid() == 0 ? "/var/lib" : NSHomeDirectory()
    }
  }

  static let token = Secret("worker-token")

  /// Starts the worker.
  /// - Parameters:
  ///   - agent: run for each review, with FOLDER standing for the folder of the test.
  ///   - callbackURL: the base URL that it calls back.
  ///   - openFileMax: the limit of open files.
  /// - Throws: ``WorkerRefused`` if it ends by itself.
  init(
    agent: String, callbackURL: String, concurrency: Int = 4, settings: [String: String] = [:], openFileMax: Int? = nil,
    isolation: Isolation = .off
  ) async throws {
    folder = isolation.parent + "/baton-worker-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    // For the worker's user and the agents'; no user can delete another's files.
    chmod(folder, 0o1777)
    wrapper = isolation.wrapper
    self.settings = [
      "BATON_WORKER_TOKEN": Self.token.reveal(), "BATON_WORKER_STATE": "\(folder)/state.sqlite",
      "BATON_AGENT_COMMAND": agent.replacing("FOLDER", with: folder), "BATON_CALLBACK_URL": callbackURL,
      "BATON_DRAIN_TIMEOUT": "10s",
    ].merging(isolation.settings) { $1 }.merging(settings) { $1 }
    arguments = ["worker", "--concurrency", "\(concurrency)"]
    (process, url, client) = try await Self.start(arguments + ["--port", "0"], self.settings, wrapper, openFileMax)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private static func start(
    _ arguments: [String], _ settings: [String: String], _ wrapper: [String], _ openFileMax: Int? = nil
  ) async throws -> (BatonProcess, String, WorkerClient) {
    let process = try BatonProcess(arguments, settings: settings, through: wrapper, openFileMax: openFileMax)
    var url: String?
    try await eventually("the worker listens: \(process.output)") {
      if process.output.contains("needs at least") {
        throw WorkerRefused(process: process)
      }
      url = process.output.firstMatch(of: /url=(http:[0-9.:\/]+)/).map { String($0.1) }
      return url != nil
    }
    let found = url ?? ""
    let client = try WorkerClient(
      baseURL: found, token: token, timeout: .seconds(30), connectionMax: 16, logger: .postgresTests)
    return (process, found, client)
  }

  /// Starts it again, at the same address.
  func restart() async throws {
    let port = url.split(separator: ":").last.map(String.init) ?? "0"
    (process, url, client) = try await Self.start(arguments + ["--port", port], settings, wrapper)
  }

  /// Ends it as a deploy would.
  func stop() async -> Int32 {
    process.signal(SIGTERM)
    return await process.wait()
  }

  func start(
    _ id: UUID, attempt: Int = 1, prompt: String = "a private prompt", trace: TraceContext? = nil
  ) async -> StartResponse? {
    let request = Self.request(id, attempt: attempt, prompt: prompt)
    let outcome = await client.start(request.encode(), reviewID: id, attempt: attempt, trace: trace)
    return if case .dispatched(let response) = outcome { response } else { nil }
  }

  static func request(_ id: UUID, attempt: Int = 1, prompt: String = "a private prompt") -> StartRequest {
    StartRequest(
      reviewId: id, attempt: attempt, authToken: "jwt-of-\(id.uuidString)",
      sessionInput: SessionInput(
        githubRepo: "acme/shop", prompt: prompt, model: "m", platform: .github, upstreamBranch: "feature",
        githubToken: "ghs_0123456789"), owner: RunOwner(type: .org, id: "acme"), maxReviewTimeMinutes: 10)
  }

  func state(_ id: UUID) async -> RunState? {
    if case .known(let status) = await client.status(of: id) { status.status } else { nil }
  }

  func status(_ id: UUID) async -> RunStatus? {
    if case .known(let status) = await client.status(of: id) { status } else { nil }
  }

  func messages(_ id: UUID) async throws -> [String] { try await client.events(of: id).compactMap(\.message) }

  /// The lines of a file in the folder.
  func lines(_ name: String) -> [String] {
    // Whatever bytes it has: an agent may have read anything.
    String(decoding: FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data(), as: UTF8.self)
      .split(separator: "\n").map(String.init)
  }

  /// Whether a process runs; a zombie does not.
  static func isAlive(_ pid: Int32) -> Bool {
    guard let stat = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return false }
    return !String(decoding: stat, as: UTF8.self).contains(") Z ")
  }

  /// The processes of a run that are alive, by the machine's numbers.
  static func processes(of id: UUID) -> [Int32] {
    let mark = Data("BATON_REVIEW_ID=\(id.uuidString.lowercased())\0".utf8)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { Int32($0) }.filter { pid in
      FileManager.default.contents(atPath: "/proc/\(pid)/environ")?.range(of: mark) != nil && isAlive(pid)
    }
  }

  /// Lets agents go on that wait for a file.
  func touch(_ name: String) { _ = FileManager.default.createFile(atPath: "\(folder)/\(name)", contents: nil) }

  /// Whether any of the files of the state holds a text.
  func stateContains(_ text: String) -> Bool {
    let names = (try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []
    return names.filter { $0.hasPrefix("state.sqlite") }.contains { name in
      (FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data()).range(of: Data(text.utf8)) != nil
    }
  }
}

/// The worker has refused to start.
struct WorkerRefused: Error {
  let process: BatonProcess
}

/// Runs the body with the real worker and a sink of its callbacks.
/// - Parameter refused: runs instead if the worker refuses to start.
func withWorker(
  agent: String, concurrency: Int = 4, settings: [String: String] = [:], openFileMax: Int? = nil,
  isolation: WorkerTestCluster.Isolation = .off, refused: ((BatonProcess) async -> Void)? = nil,
  _ body: (WorkerTestCluster, CallbackSink) async throws -> Void
) async throws {
  let sink = try await CallbackSink()
  do {
    try await body(
      try await WorkerTestCluster(
        agent: agent, callbackURL: sink.url, concurrency: concurrency, settings: settings, openFileMax: openFileMax,
        isolation: isolation),
      sink)
    await sink.stop()
  } catch let refusal as WorkerRefused where refused != nil {
    await refused?(refusal.process)
    await sink.stop()
  } catch {
    await sink.stop()
    throw error
  }
}
