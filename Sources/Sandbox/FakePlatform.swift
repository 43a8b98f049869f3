internal import HTTPKit
package import Logging
internal import ServiceLifecycle

/// Stands in for GitHub and GitLab on this machine: real HTTP, recorded answers, no other network.
///
/// Point `BATON_GITHUB_API_URL` at it, and an integration's `instance_url` for GitLab. Any repository and number gives a
/// pull request: the recorded ones as they were, all others made up, the same each time.
package struct FakePlatform: Service {
  private let host: String
  private let port: Int
  private let logger: Logger
  private let onBound: @Sendable (Int) async -> Void
  let state = FakeState()

  /// A benchmark has some hundred calls under way.
  private static let connectionMax = 4_096

  /// - Parameters:
  ///   - host: the address to listen on.
  ///   - port: 0 for any that is free.
  ///   - latency: of every call, drawn evenly.
  ///   - logger: for what it reports.
  ///   - onBound: gets the port once calls are accepted.
  package init(
    host: String = "127.0.0.1", port: Int = 0, latency: ClosedRange<Duration> = .zero ... .zero, logger: Logger,
    onBound: @escaping @Sendable (Int) async -> Void = { _ in }
  ) {
    self.host = host
    self.port = port
    self.logger = logger
    self.onBound = onBound
    setLatency(latency)
  }

  /// Serves until graceful shutdown or cancellation.
  package func run() async throws {
    try await HTTPListener(
      host: host, port: port, serverName: "baton-sandbox", limits: ConnectionLimits(connectionMax: Self.connectionMax),
      responder: FakeResponder(state: state), logger: logger, onBound: onBound
    ).run()
  }

  /// What a demo can submit: at least ten that are open, then recorded ones that are closed, and GitLab's.
  package static func pullRequests() -> [FakePullRequest] { FakePullRequest.known }
}

// MARK: What a test can set and see

extension FakePlatform {
  /// How long every call takes from now on, drawn evenly; a range of one value is exact.
  package func setLatency(_ latency: ClosedRange<Duration>) { state.withValues { $0.latency = latency } }

  /// Adds a fault; of several that concern a call, the one that was added first applies.
  package func add(_ fault: FakeFault) { state.withValues { $0.faults.append(fault) } }

  /// Removes faults, counters, and everything that was set.
  package func clear() { state.withValues { $0 = FakeState.Values() } }

  /// How often each route was called, faults included.
  package var callCounts: [FakeRoute: Int] { state.withValues { $0.callCounts } }

  /// What was written to pull requests, in order.
  package var feedback: [FakeFeedback] { state.withValues { $0.feedback } }

  /// Replaces fields of a pull request or merge request.
  /// - Parameters:
  ///   - fields: values as JSON text by name; a dot leads into an object, as in `["head.sha": "\"0a1b…\""]`.
  ///   - repository: as the caller names it; for GitLab the path or the number, whichever it uses.
  ///   - number: of the pull request or merge request.
  package func setFields(_ fields: [String: String], of repository: String, number: Int) {
    state.withValues { $0.fields["\(repository)/\(number)", default: [:]].merge(fields) { $1 } }
  }

  /// Replaces a list of comments, notes or discussions, each element as JSON text.
  package func setList(_ elements: [String], route: FakeRoute, of repository: String, number: Int) {
    state.withValues { $0.comments[.init(route: route, repository: repository, number: number)] = elements }
  }

  /// How many answers said that nothing has changed since the `ETag` that was sent.
  package var notModifiedCount: Int { state.withValues { $0.notModifiedCount } }

  /// Gives each caller of GitHub, identified by its token, this many calls until a time; answers of 304 are free.
  package func setRateLimit(_ count: Int, resetAt epochSeconds: Int) {
    state.withValues { $0.rateLimit = .init(count: count, resetAt: epochSeconds) }
  }

  /// Makes a GitLab token known.
  package func setToken(_ text: String, _ token: FakeToken) { state.withValues { $0.tokens[text] = token } }

  /// A GitLab token that is known: set, or made by a call.
  package func token(_ text: String) -> FakeToken? { state.withValues { $0.tokens[text] } }
}
