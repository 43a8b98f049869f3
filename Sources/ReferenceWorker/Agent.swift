internal import FoundationEssentials
internal import Resilience
internal import Reviews
internal import WorkerAPI

/// Runs one order: by the agent command, or without one as the built-in agent, which completes at once.
struct Agent: Sendable {
  let command: String?
  /// Already without what the agent must not see.
  let environment: [String: String]
  let killGrace: Duration

  init(_ configuration: WorkerConfiguration) {
    command = configuration.agentCommand
    killGrace = configuration.killGrace
    environment = configuration.environment.filter { !$0.key.hasPrefix("BATON_") }
  }

  func run(_ order: Run.Order, stop: Wakeup, onLine: @escaping @Sendable (AgentLine) async -> Void) async -> AgentExit {
    guard let command else {
      await onLine(builtInLine(order.request))
      return .exited(status: 0, lastWords: "")
    }
    let process = AgentProcess(
      command: command, environment: environment(for: order.request), input: order.body, killGrace: killGrace,
      redact: Redactor(order.request))
    return await process.run(stop: stop) { await onLine(AgentLine($0)) }
  }

  /// Tokens under the names that the platforms' own tools read, and what the run is called.
  private func environment(for request: StartRequest) -> [String: String] {
    var variables = environment
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
