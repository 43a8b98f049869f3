package import Logging
internal import Primitives
internal import Resilience
package import Reviews
internal import WorkerAPI

/// Prepares payloads out of GitHub and GitLab.
///
/// Configuration and integration are judged first, without a call; then the pull request and its comments are read, all
/// at once. One answered call closes the host's circuit; only if GitHub or GitLab cannot be reached, or fails
/// again and again, is it an outage.
package struct PlatformPreparer: PayloadPreparer {
  /// The circuits of the hosts that were called, by host (and port, if it is not the scheme's default).
  package let circuits: Circuits

  /// The name of GitHub's circuit; all others are GitLab's.
  package var githubTarget: String { github.client.base.authority }

  /// Time between choosing a token and sending it. Added, so that the token still lasts for the whole review when the worker gets it.
  private static let sendingTime: Duration = .seconds(60)

  private let github: GitHubSource
  private let gitlab: GitLabSource
  private let configurations = ConfigurationCache()
  private let builder: PayloadBuilder
  private let timeMax: Duration?
  private let flags: any FeatureFlags
  private let logger: Logger

  /// - Parameters:
  ///   - access: how the platforms are reached.
  ///   - payloadByteCountMax: a larger payload is refused; nil for the worker contract's limit.
  ///   - circuits: one for each platform and host.
  ///   - timeMax: how long a preparation may take: what is optional gets half of what is left when it is asked for. nil for no bound.
  ///   - flags: the agent version of owners that name none.
  ///   - logger: for what it reports.
  package init(
    access: PlatformAccess, payloadByteCountMax: Int? = nil, circuits: Circuits = Circuits(),
    timeMax: Duration? = nil, flags: any FeatureFlags = SettingsFlags(), logger: Logger
  ) {
    github = GitHubSource(
      client: access.github, cipher: access.cipher, appID: access.appID, tokens: access.installationTokens,
      logger: logger)
    gitlab = GitLabSource(api: access.gitlab, logger: logger)
    builder = PayloadBuilder(
      authKey: AuthKey(encryptionKey: access.settings.encryptionKeys[0]),
      byteCountMax: payloadByteCountMax ?? StartRequest.byteCountMax, now: access.now)
    self.circuits = circuits
    self.timeMax = timeMax
    self.flags = flags
    self.logger = logger
  }

  package func prepare(_ review: LeasedReview) async throws(PreparationError) -> PreparedPayload {
    let deadline = timeMax.map { .now + $0 } as ContinuousClock.Instant?
    if let fault = OutsideName.fault(of: review) { throw .permanent(.nameRefused, message: "Refused name: \(fault).") }
    let configuration = try configurations.configuration(
      review.configuration, byteCount: review.configurationByteCount, of: review.owner)
    try Self.checkIntegration(of: review)
    // Concurrent with the platform's calls: a slow flag service does not delay the review.
    async let version = agentVersion(configuration, review.owner)
    let collected =
      switch review.platform {
      case .github: try await collect(review, configuration, from: github, until: deadline)
      case .gitlab: try await collect(review, configuration, from: gitlab, until: deadline)
      }
    return try builder.payload(review, collected, configuration, agentVersion: await version)
  }

  private func agentVersion(_ configuration: ReviewConfiguration, _ owner: Owner) async -> String? {
    if let version = configuration.agentVersion { return version }
    return await flags.agentVersion(for: owner)
  }

  package func targets(of review: LeasedReview) -> [String] {
    switch review.platform {
    case .github: (try? github.access(for: review)).map { [github.target(of: $0)] } ?? []
    case .gitlab: (try? gitlab.access(for: review)).map { [gitlab.target(of: $0)] } ?? []
    }
  }

  private static func checkIntegration(of review: LeasedReview) throws(PreparationError) {
    guard let id = review.platformIntegrationId else { return }
    guard let integration = review.integration else {
      throw .permanent(
        .integrationMissing, message: "Integration \(id.lowercase) does not exist, or is another owner's or platform's."
      )
    }
    guard !integration.isRevoked else {
      throw .permanent(.integrationRevoked, message: "Integration \(id.lowercase) was revoked.")
    }
  }

  private func collect<Source: PullRequestSource>(
    _ review: LeasedReview, _ configuration: ReviewConfiguration, from source: Source,
    until deadline: ContinuousClock.Instant?
  ) async throws(PreparationError) -> CollectedPullRequest {
    let access = try source.access(for: review)
    let target = TargetCircuit(circuit: circuits[source.target(of: access)], platform: Source.name, logger: logger)
    try target.admit()
    do {
      let collected = try await source.collect(
        review, access, lifetime: .seconds(60 * configuration.maxReviewTimeMinutes) + Self.sendingTime,
        until: deadline)
      target.answered()
      return collected
    } catch {
      throw target.judge(error, of: review)
    }
  }
}
