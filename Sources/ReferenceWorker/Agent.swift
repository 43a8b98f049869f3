internal import FoundationEssentials
internal import Glibc
internal import Logging
internal import Resilience
internal import Reviews
internal import WorkerAPI

/// Runs one order: by the agent command, or without one as the built-in agent, which completes at once.
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
  /// The folder of all agents' folders.
  private let folders: String
  /// Without it at the start, nothing can be told of agents that were begun before.
  private let hadFolders: Bool

  /// Makes the folder of the agents where there is none.
  /// - Throws: ``WorkerStateFault``.
  init(_ configuration: WorkerConfiguration) throws {
    let folders = configuration.statePath + "-agents"
    let hadFolders = FileManager.default.fileExists(atPath: folders)
    guard hadFolders || mkdir(folders, 0o700) == 0 else {
      throw WorkerStateFault(path: folders, reason: String(cString: strerror(errno)))
    }
    self.folders = folders
    self.hadFolders = hadFolders
    command = configuration.agentCommand
    killGrace = configuration.killGrace
    outputByteCountMax = configuration.outputByteCountMax
    environment = configuration.environment.filter { !$0.key.hasPrefix("BATON_") }
  }

  /// Starts an agent, and returns when it has ended.
  func run(_ order: RunOrder, stop: Wakeup, _ reporting: Reporting) async -> AgentExit {
    guard let command else {
      await reporting.onLines([builtInLine(order.request)], 0)
      return .exited(status: 0, lastWords: "")
    }
    let process = AgentProcess(
      command: command, environment: environment(for: order), input: order.body, folder: folder(order))
    return await process.run(watch(order, reporting), stop: stop)
  }

  /// Follows an agent that a worker had begun which is gone, wherever it is by now.
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
      return await watch.follow(process, from: order.outputOffset, stop: stop) ?? .lost
    }
  }

  func folder(_ order: RunOrder) -> AgentFolder {
    AgentFolder(base: folders, key: order.key, launch: order.launch)
  }

  /// Deletes the folders of agents whose runs have ended: what was left behind by a worker that died at that moment.
  func removeFolders(except orders: [RunOrder]) {
    let kept = Set(orders.map { folder($0).path })
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folders)) ?? [] {
      let path = "\(folders)/\(name)"
      if !kept.contains(path) { try? FileManager.default.removeItem(atPath: path) }
    }
  }

  private func watch(_ order: RunOrder, _ reporting: Reporting) -> AgentWatch {
    AgentWatch(
      folder: folder(order), mark: Self.mark(order.request), killGrace: killGrace,
      outputByteCountMax: outputByteCountMax, redact: Redactor(order.request), onLines: reporting.onLines,
      onOverflow: reporting.onOverflow)
  }

  private static func mark(_ request: StartRequest) -> String { "BATON_REVIEW_ID=\(request.reviewId.lowercase)" }

  /// Tokens under the names that the platforms' own tools read, and what the run is called.
  private func environment(for order: RunOrder) -> [String: String] {
    let request = order.request
    var variables = environment
    // Also taken away: a trace that the worker itself was started in is not the run's.
    variables["TRACEPARENT"] = order.trace?.traceparent
    variables["BATON_REVIEW_ID"] = request.reviewId.lowercase
    variables["BATON_ATTEMPT"] = String(request.attempt)
    variables["BATON_AUTH_TOKEN"] = request.authToken
    variables["GITHUB_TOKEN"] = request.sessionInput.githubToken
    variables["GITLAB_TOKEN"] = request.sessionInput.platform == .gitlab ? request.sessionInput.gitToken : nil
    return variables
  }

  private func builtInLine(_ request: StartRequest) -> AgentLine {
    var line = AgentLine("no agent command is set: completed by the built-in agent")
    line.sessionID = "builtin-\(request.reviewId.lowercase)-\(request.attempt)"
    line.usage = Usage(model: request.sessionInput.model, totalTokensIn: 0, totalTokensOut: 0, totalCostMicroUSD: 0)
    if let threshold = request.sessionInput.gateThreshold, threshold != "off" { line.gateResult = .pass }
    return line
  }
}
