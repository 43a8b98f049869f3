package import AsyncHTTPClient
package import FoundationEssentials
package import HTTPTrust
package import Logging
internal import NIOCore
internal import NIOHTTPCompression
internal import Resilience
package import Reviews

/// How a process calls GitHub and GitLab: one for all of its roles, since it holds what they learn on the way. A limit that
/// feedback has met keeps preparations from calling as well, and a token that one of them has got or renewed serves the others.
package struct PlatformAccess: Sendable {
  let settings: PlatformSettings
  let cipher: TokenCipher
  let github: APIClient
  /// The app's id, for recognising its own comments; nil without an app.
  let appID: String?
  /// nil without an app.
  let installationTokens: InstallationTokens?
  let gitlab: GitLabAPI
  /// The wall clock.
  let now: @Sendable () -> Date

  /// - Parameters:
  ///   - settings: addresses, the GitHub App and the keys.
  ///   - httpClient: must not follow redirects by itself, see ``makeHTTPClient(connectionMax:trust:)``; stays the
  ///     caller's to shut down.
  ///   - integrationTokens: where GitLab's tokens are renewed; nil uses them as they are.
  ///   - now: the wall clock.
  ///   - isClockCorrected: whether the platforms' answers correct it for what is decided about their own times.
  ///   - logger: for what it reports.
  /// - Throws: what is wrong with the settings, all at once.
  package init(
    settings: PlatformSettings, httpClient: HTTPClient, integrationTokens: (any IntegrationTokenStore)?,
    now: @escaping @Sendable () -> Date = { Date() }, isClockCorrected: Bool = true, logger: Logger
  ) throws(PlatformSettings.Faults) {
    let (base, app) = try settings.checked()
    let cipher = TokenCipher(keys: settings.encryptionKeys)
    let github = APIClient(
      base: base, httpClient: httpClient, timeout: settings.callTimeout, deadlines: TimedOperations(0),
      clock: PlatformClock(now, isCorrected: isClockCorrected), limits: RateLimits(), answers: AnswerCache(),
      trust: settings.trust, evidence: APIEvidence())
    self.settings = settings
    self.cipher = cipher
    self.github = github
    appID = app?.id
    installationTokens = app.map { InstallationTokens(app: $0, client: github) }
    gitlab = GitLabAPI(
      hosts: GitLabHosts(settings.gitlabHosts), client: github,
      tokens: GitLabTokens(store: integrationTokens, cipher: cipher, logger: logger))
    self.now = now
  }

  /// The hosts that have said that a limit is used up.
  package var usedUpLimits: [UsedUpLimit] { github.limits.usedUp(now: now()) }

  /// The least share of a rate limit that an account of a platform has left; nil if no answer has said it lately.
  package func leastRateLimitLeft(at platform: Platform) -> Double? {
    github.limits.leastLeft(now: now()).filter { ($0.key == github.base.authority) == (platform == .github) }.values
      .min()
  }

  /// A client as it is needed here: no redirects of its own, no quiet retries, and as many connections to a host as calls are
  /// made at once (three for each review that is prepared).
  /// - Parameters:
  ///   - connectionMax: to one host.
  ///   - trust: that of all who call with it.
  package static func makeHTTPClient(connectionMax: Int, trust: HTTPTrust) -> HTTPClient {
    var configuration = HTTPClient.Configuration(
      tlsConfiguration: trust.initial, redirectConfiguration: .disallow)
    configuration.timeout.connect = .seconds(5)
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = max(connectionMax, 1)
    configuration.connectionPool.retryConnectionEstablishment = false
    // Each call has a span of Baton's.
    configuration.tracing.tracer = nil
    // Not asked for, but a proxy or a cache may compress anyway.
    configuration.decompression = .enabled(limit: .size(APIClient.answerByteCountMax))
    return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }
}
