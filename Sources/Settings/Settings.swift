internal import Certificates
package import Primitives
internal import Reviews

/// Every setting of Baton as a typed value, parsed once at the start (`load`). What a role cannot do without is optional
/// here; the role asks for it by `require`.
///
/// Printing it shows no secret: those are `Secret`, URLs that carry a password among them.
package struct Settings: Sendable {
  /// libpq URI or conninfo.
  package var databaseURL: Secret?
  /// Connections a process.
  package var databasePool = 0
  /// `amqp://` or `amqps://` URLs in the order in which they are tried; empty when not set.
  package var amqpURLs: [Secret] = []
  /// Name of the work queue.
  package var queue = ""
  /// Ready messages at which the producer stops claiming.
  package var maxQueueDepth = 0
  /// Reviews an owner may have queued or running at once, unless set per owner.
  package var ownerLimit = 0
  /// How often to look when no notification comes.
  package var pollInterval = Duration.zero
  /// Reviews one consumer process prepares and dispatches at once.
  package var prefetch = 0
  /// Without a heartbeat for this long a consumer is dead.
  package var lease = Duration.zero
  /// The longest that one lease lasts.
  package var prepareTimeout = Duration.zero
  /// After this, a claimed row whose publish was never confirmed is abandoned.
  package var publishGrace = Duration.zero
  /// After this, a queued row that was not touched is abandoned.
  package var staleAfter = Duration.zero
  /// After this, a silent running row is reconciled.
  package var runningTimeout = Duration.zero
  /// A review fails after this many dispatches that failed for its own sake, or this many consumers that died with it.
  package var maxAttempts = 0
  /// Ceiling of the first retry's wait.
  package var retryBase = Duration.zero
  /// Ceiling of every retry's wait.
  package var retryMax = Duration.zero
  /// Base URL of the worker, without a slash at its end.
  package var workerURL: String?
  /// Bearer tokens of the worker: the first is sent, each is accepted.
  package var workerToken: SecretList?
  /// Deadline of one call of the worker.
  package var workerTimeout = Duration.zero
  /// Address that `serve` and `up` listen on.
  package var httpHost = ""
  /// Port that `serve` and `up` listen on.
  package var httpPort = 0
  /// Address of the metrics of the other roles.
  package var metricsHost = ""
  /// Port of the metrics of the other roles; `nil` is off.
  package var metricsPort: Int?
  /// Bearer tokens of `/api` and the dashboard.
  package var apiToken: SecretList?
  /// Bearer tokens that may only read.
  package var readToken: SecretList?
  /// The addresses whose headers about a request count.
  package var trustedProxies: [AddressRange] = []
  /// The header in which a trusted proxy names the person.
  package var actorHeader: String?
  /// Values of `X-Internal-Secret` on status callbacks: the first is sent, each is accepted.
  package var callbackSecret: SecretList?
  /// Base URL that the reference worker calls back, without a slash at its end; from host and port unless set.
  package var callbackURL = ""
  /// 32 bytes in base64 each: the first seals and signs, each opens and verifies.
  package var encryptionKey: SecretList?
  /// Base URL of GitHub's REST API, without a slash at its end.
  package var githubAPIURL = ""
  /// The GitHub App's number or client ID.
  package var githubAppID: String?
  /// The GitHub App's private key as PEM text, PKCS#1 or PKCS#8.
  package var githubPrivateKey: Secret?
  /// Keys of GitHub's webhook signatures.
  package var githubWebhookSecret: SecretList?
  /// Tokens of GitLab's webhooks.
  package var gitlabWebhookSecret: SecretList?
  /// Hosts that an integration may name, lower case, each with a port if one was given.
  package var gitlabHosts: [String] = []
  /// The agent version of the owners that the rollout has reached.
  package var agentVersion: String?
  /// How many of a hundred owners the rollout has reached.
  package var agentVersionPercent = 0
  /// Base URL of PostHog, without a slash at its end; with ``posthogKey`` or not at all.
  package var posthogURL: String?
  /// Project API key of PostHog.
  package var posthogKey: Secret?
  /// How long a role may take to drain.
  package var drainTimeout = Duration.zero
  /// The command that the reference worker runs for a review.
  package var agentCommand: String?
  /// Path of the reference worker's own state.
  package var workerState = ""
  /// What becomes of the reference worker's runs whose agents have died with it.
  package var workerLostRuns = LostRuns.fail
  /// Variables of the reference worker that its agents get as well; a name may end in `*`.
  package var agentEnvironment: [String] = []
  /// How the reference worker keeps its runs apart.
  package var agentIsolation = AgentIsolation.off
  /// The user ids that ``AgentIsolation/users`` takes.
  package var agentUsers: ClosedRange<UInt32>?
  /// How log records are written.
  package var logFormat = LogFormat.text
  /// The least level of log records.
  package var logLevel = LogLevel.info

  /// A PEM file of authorities: trusted in addition to the system's by HTTP clients, and alone by those of Postgres and RabbitMQ.
  package var caFile: String?
  /// The client's certificate for RabbitMQ, a PEM file.
  package var amqpCertFile: String?
  /// Its key, a PEM file.
  package var amqpKeyFile: String?

  /// What is odd but no fault, one sentence each; for the log.
  package var warnings: [String] = []
  /// The settings that were given, as opposed to the defaults.
  package var given: Set<Key> = []

  /// Fails such a run, or begins it again.
  package enum LostRuns: String, Sendable, CaseIterable { case fail, restart }

  /// Nothing; a user, process and mount namespace for each run; or a user id for each run.
  package enum AgentIsolation: String, Sendable, CaseIterable { case off, namespaces, users }

  /// The form of log records.
  package enum LogFormat: String, Sendable, CaseIterable { case text, json }

  /// The levels of swift-log, by its names.
  package enum LogLevel: String, Sendable, CaseIterable { case trace, debug, info, notice, warning, error, critical }

  /// Without values: `load` fills in the defaults.
  init() {}

  /// The 32 bytes of each encryption key, the current one first; empty if none is set.
  package func revealEncryptionKeys() -> [[UInt8]] {
    (encryptionKey?.all ?? []).compactMap { SettingText.base64($0.reveal()) }
  }

  /// The fewest bytes of a token that attackers may try to guess: 128 bits, if they are random.
  package static let tokenByteCountMin = 16

  /// Whether an address listens for this machine alone.
  package static func isLoopback(_ host: String) -> Bool { IPAddress.isLoopback(host) }
}
