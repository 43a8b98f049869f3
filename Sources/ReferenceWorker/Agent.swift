internal import FoundationEssentials
internal import Glibc
internal import Logging
internal import Primitives
internal import Resilience
internal import Reviews
internal import WorkerAPI

/// Runs one order: by the agent command, or without one as the demonstration, which reviews nothing and completes at once.
struct Agent: Sendable {
  /// What a run's agent reports to.
  struct Reporting: Sendable {
    /// See ``AgentWatch/onLines``.
    var onLines: @Sendable ([AgentLine], Int64) async -> Void
    var onOverflow: @Sendable () async -> Void
  }

  let command: String?
  /// Already without what the agent must not see.
  let environment: [String: String]
  let killGrace: Duration
  let outputByteCountMax: Int64
  /// What stands in no event and no message: the secrets of the worker's process.
  private let secrets: [Secret]
  private let launch: AgentLaunch
  /// nil if all agents are the worker's user.
  private let users: AgentUsers?
  /// The folder of all agents' folders.
  private let folders: String
  /// Without it at the start, nothing is known about agents that were begun before.
  private let hadFolders: Bool

  /// Makes the folder of the agents if it is not there.
  /// - Throws: ``WorkerStateFault``.
  init(_ configuration: WorkerConfiguration) throws {
    let folders = configuration.statePath + "-agents"
    let hadFolders = FileManager.default.fileExists(atPath: folders)
    guard hadFolders || mkdir(folders, 0o700) == 0 else {
      throw WorkerStateFault(path: folders, reason: String(cString: strerror(errno)))
    }
    self.folders = Self.resolved(folders)
    self.hadFolders = hadFolders
    command = configuration.agentCommand
    killGrace = configuration.killGrace
    outputByteCountMax = configuration.outputByteCountMax
    secrets = configuration.secrets
    environment = AgentEnvironment.allowed(
      of: configuration.environment, further: configuration.environmentNames)
    let state = Self.resolved(configuration.statePath)
    launch = AgentLaunch(
      isolation: configuration.isolation,
      hidden: [state, state + "-wal", self.folders] + configuration.hiddenPaths.map { Self.resolved($0) })
    if case .users(let range) = configuration.isolation { users = AgentUsers(range) } else { users = nil }
    // A run's user passes through it to its own temporary folder, and cannot list it.
    chmod(self.folders, users == nil ? 0o700 : 0o711)
  }

  /// Without symbolic links, and from the root.
  private static func resolved(_ path: String) -> String {
    guard let found = realpath(path, nil) else { return path }
    defer { free(found) }
    return String(cString: found)
  }

  /// Makes sure that runs can be kept apart as it is set.
  /// - Throws: ``IsolationFault``.
  func checkIsolation() async throws { try await launch.check(in: AgentFolder(path: folders + "/check")) }

  /// Starts an agent, and returns when it has ended.
  func run(_ order: RunOrder, stop: Wakeup, _ reporting: Reporting) async -> AgentExit {
    guard let command else {
      await reporting.onLines([demonstrationLine(order.request)], 0)
      return .exited(status: 0, lastWords: "")
    }
    let user = users?.take()
    guard users == nil || user != nil else { return .notStarted("all ids of BATON_AGENT_USERS are in use") }
    let folder = folder(order)
    let process = AgentProcess(
      words: launch.words(command, folder: folder.path, user: user), environment: environment(for: order),
      input: order.body, folder: folder, user: user)
    let exit = await process.run(watch(order, reporting), stop: stop)
    await end(user)
    return exit
  }

  /// Follows an agent of an earlier worker, from its current state.
  func adopt(_ order: RunOrder, stop: Wakeup, logger: Logger, _ reporting: Reporting) async -> AgentExit {
    var logger = logger
    for (name, value) in order.key.metadata(order.trace) { logger[metadataKey: name] = value }
    let watch = watch(order, reporting)
    switch hadFolders ? await folder(order).find() : .nothing {
    case .neverBegan: return .neverBegan
    case .nothing:
      logger.error("the files of an agent are gone; what it said since is lost")
      return .lost
    case .process(let process):
      logger.notice("following an agent that an earlier worker had begun", metadata: ["pid": "\(process.id)"])
      let exit = await watch.follow(process, from: order.outputOffset, stop: stop) ?? .lost
      await end(folder(order).user)
      return exit
    }
  }

  /// What the run's user still has is killed, before the next run gets its id. Not when the worker ends: the agent goes on.
  private func end(_ user: UInt32?) async {
    guard let user, let users, users.has(user), !Task.isCancelled else { return }
    await AgentLaunch.sweep(user)
    users.giveBack(user)
  }

  func folder(_ order: RunOrder) -> AgentFolder {
    AgentFolder(base: folders, key: order.key, launch: order.launch)
  }

  /// Keeps what these runs have, and deletes the folders of all others: what was left behind by a worker that died at that moment.
  func takeOver(_ orders: [RunOrder]) {
    let kept = orders.map { folder($0) }
    for user in kept.compactMap(\.user) { users?.adopt(user) }
    let paths = Set(kept.map(\.path))
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folders)) ?? [] {
      let path = "\(folders)/\(name)"
      if !paths.contains(path) { AgentFolder(path: path).remove() }
    }
  }

  private func watch(_ order: RunOrder, _ reporting: Reporting) -> AgentWatch {
    AgentWatch(
      folder: folder(order), mark: Self.mark(order.request), killGrace: killGrace,
      outputByteCountMax: outputByteCountMax, redact: RunRedactor(order.request, ofWorker: secrets),
      onLines: reporting.onLines, onOverflow: reporting.onOverflow)
  }

  private static func mark(_ request: StartRequest) -> String { "BATON_REVIEW_ID=\(request.reviewId.lowercase)" }

  /// Tokens under the names that the platforms' own tools read, and what the run is called.
  private func environment(for order: RunOrder) -> [String: String] {
    let request = order.request
    var variables = environment
    switch launch.isolation {
    case .off: break
    case .namespaces: variables["TMPDIR"] = "/tmp"
    case .users:
      variables["TMPDIR"] = folder(order).temporaryPath
      variables["HOME"] = folder(order).temporaryPath
    }
    // Also taken away: a trace that the worker itself was started in is not the run's.
    variables["TRACEPARENT"] = order.trace?.traceparent
    variables["BATON_REVIEW_ID"] = request.reviewId.lowercase
    variables["BATON_ATTEMPT"] = String(request.attempt)
    variables["BATON_AUTH_TOKEN"] = request.authToken
    variables["GITHUB_TOKEN"] = request.sessionInput.githubToken
    variables["GITLAB_TOKEN"] = request.sessionInput.platform == .gitlab ? request.sessionInput.gitToken : nil
    return variables
  }

  /// It has looked at nothing, so it lets no gate pass: neither platform would take silence for a no.
  private func demonstrationLine(_ request: StartRequest) -> AgentLine {
    let hasGate = request.sessionInput.gateThreshold.map { $0 != "off" } ?? false
    var line = AgentLine(
      hasGate
        ? "this is a demonstration: nothing was reviewed, so the gate does not pass"
        : "this is a demonstration: nothing was reviewed")
    line.sessionID = "demonstration-\(request.reviewId.lowercase)-\(request.attempt)"
    line.usage = Usage(model: request.sessionInput.model, totalTokensIn: 0, totalTokensOut: 0, totalCostMicroUSD: 0)
    if hasGate { line.gateResult = .fail }
    return line
  }
}
