internal import Certificates
package import Primitives
package import Reviews
package import Telemetry

/// Every setting of Baton as a typed value, parsed once at the start (`load`). A setting without a default is optional here, although some roles
/// need it: such a role names it in `require`.
///
/// A setting is declared here and nowhere else. Commands that take it as a flag name it in one of their groups of options, and
/// `Settings.md` in `baton.docc` has its row; tests fail without either.
///
/// Printing it shows no secret: those are `Secret`, URLs that carry a password among them.
package struct Settings: Sendable {
  /// libpq URI or conninfo.
  @Setting(
    "database_url", "url", example: "postgres://baton:password@localhost:5432/baton", isSecret: true,
    "libpq URI or conninfo of Postgres", SettingText.databaseURL)
  package var databaseURL: Secret?
  /// Connections to Postgres in the pool of each process.
  @Setting(
    "database_pool", "count", default: "4", "connections to Postgres that the pool of each process may have",
    SettingText.integer(1...1000))
  package var databasePool: Int
  /// `amqp://` or `amqps://` URLs in the order in which they are tried; empty when not set.
  @Setting(
    "amqp_url", "url", unset: [], example: "amqp://guest:guest@localhost:5672", isSecret: true,
    "`amqp://` or `amqps://` URL of RabbitMQ; a comma-separated list is tried in turn (cluster nodes)",
    SettingText.amqpURLs)
  package var amqpURLs: [Secret]
  /// Name of the work queue.
  @Setting("queue", "name", default: "baton.reviews", "name of the work queue", SettingText.queueName)
  package var queue: String
  /// Ready messages at which the producer stops claiming.
  @Setting(
    "max_queue_depth", "count", default: "1000", "the producer stops claiming while this many messages are ready",
    SettingText.integer(1...10_000_000))
  package var maxQueueDepth: Int
  /// Reviews an owner may have queued or running at once, unless set per owner.
  @Setting(
    "owner_limit", "count", default: "20", "reviews an owner may have queued or running at once, unless set per owner",
    SettingText.integer(1...1_000_000))
  package var ownerLimit: Int
  /// How often to look when no notification comes.
  @Setting(
    "poll_interval", "time", default: "5s", "how often a role looks for work if no notification comes",
    SettingText.duration(min: .milliseconds(1)))
  package var pollInterval: Duration
  /// Reviews one consumer process prepares and dispatches at once.
  @Setting(
    "prefetch", "count", default: "256", "reviews one consumer process prepares and dispatches at once",
    SettingText.integer(1...65535))
  package var prefetch: Int
  /// Without a heartbeat for this long a consumer is dead.
  @Setting(
    "lease", "time", default: "15s",
    "heartbeat timeout: a consumer without a heartbeat for this long is dead, and its leases end; how long a lease lasts is `BATON_PREPARE_TIMEOUT`",
    SettingText.duration(min: .milliseconds(1)))
  package var heartbeatTimeout: Duration
  /// The longest that one lease lasts.
  @Setting(
    "prepare_timeout", "time", default: "60s",
    "length of a lease, so of preparation and call together: more than `BATON_WORKER_TIMEOUT`",
    SettingText.duration(min: .milliseconds(1)))
  package var leaseDuration: Duration
  /// After this, a claimed row whose publish was never confirmed is abandoned.
  @Setting(
    "publish_grace", "time", default: "15s", "a claimed row whose publish was never confirmed is abandoned after this",
    SettingText.duration(min: .milliseconds(1)))
  package var publishGrace: Duration
  /// After this, a queued row that was not touched is abandoned.
  @Setting(
    "stale_after", "time", default: "5m",
    "a queued row that was not touched for this long is abandoned; doubles at every republish of the row, up to 1h",
    SettingText.duration(min: .milliseconds(1)))
  package var staleAfter: Duration
  /// After this, a silent running row is reconciled.
  @Setting(
    "running_timeout", "time", default: "30m",
    "a running row that has been silent for this long is reconciled with the worker",
    SettingText.duration(min: .milliseconds(1)))
  package var runningTimeout: Duration
  /// A review fails after this many dispatches that failed because of the review itself, or this many consumers that died with it. Does not limit
  /// the number of attempts (`attempt`).
  @Setting(
    "max_attempts", "count", default: "8",
    "a review fails after this many dispatches that failed because of the review itself, or consumers that died with it; does not limit `attempt`",
    SettingText.integer(1...1000))
  package var maxAttempts: Int
  /// Ceiling of the first retry's wait.
  @Setting(
    "retry_base", "time", default: "2s", "ceiling of the first retry's wait; doubles, with full jitter",
    SettingText.duration(min: .zero))
  package var retryBase: Duration
  /// Ceiling of every retry's wait.
  @Setting("retry_max", "time", default: "5m", "ceiling of every retry's wait", SettingText.duration(min: .zero))
  package var retryMax: Duration
  /// Base URL of the worker, without a slash at its end.
  @Setting("worker_url", "url", example: "http://127.0.0.1:8090", "base URL of the worker", SettingText.httpURL)
  package var workerURL: String?
  /// Bearer tokens of the worker: the first is sent, each is accepted.
  @Setting(
    "worker_token", "token", example: "the output of `openssl rand -hex 32`", isSecret: true,
    "bearer token of the worker; or `new,old`: the first is sent, each is accepted", SettingText.secrets())
  package var workerToken: SecretList?
  /// Deadline of one call to the worker.
  @Setting(
    "worker_timeout", "time", default: "10s", "deadline of one call to the worker",
    SettingText.duration(min: .milliseconds(1)))
  package var workerTimeout: Duration
  /// The command that the reference worker runs for a review.
  @Setting(
    "agent_command", "command", example: "/usr/local/bin/review-agent",
    "`worker`: the command run for a review (payload on standard input)", SettingText.plain)
  package var agentCommand: String?
  /// Path of the reference worker's own state.
  @Setting(
    "worker_state", "file", default: "./baton-worker.sqlite", "`worker`: its own durable state", SettingText.plain)
  package var workerState: String
  /// What happens to the reference worker's runs whose agents have died with it.
  @Setting(
    "worker_lost_runs", "fail|restart", default: "fail",
    "`worker`: `fail` or `restart` a run whose agent has died with the worker", SettingText.choice())
  package var workerLostRuns: LostRuns
  /// Variables of the reference worker that its agents get as well; a name may end in `*`.
  @Setting(
    "agent_environment", "names", unset: [], example: "JAVA_HOME,ANTHROPIC_*",
    "`worker`: further variables that agents get of the worker's environment, comma-separated; `*` may end a name",
    SettingText.variableNames)
  package var agentEnvironment: [String]
  /// How the reference worker keeps its runs apart.
  @Setting(
    "agent_isolation", "off|namespaces|users", default: "off",
    "`worker`: how runs are kept apart: `off`, `namespaces` (works without root) or `users` (needs root)",
    SettingText.choice())
  package var agentIsolation: AgentIsolationMode
  /// The user ids that ``AgentIsolationMode/users`` takes.
  @Setting(
    "agent_users", "first-last", example: "70000-70015",
    "`worker`: the user ids of `BATON_AGENT_ISOLATION=users`, one for each run at once, that nothing else uses",
    SettingText.userIDs)
  package var agentUsers: ClosedRange<UInt32>?
  /// Address that `serve` and `up` listen on.
  @Setting("http_host", "address", default: "127.0.0.1", "address that `serve` and `up` listen on", SettingText.host)
  package var httpHost: String
  /// Port that `serve` and `up` listen on.
  @Setting("http_port", "port", default: "8080", "port that `serve` and `up` listen on", SettingText.port)
  package var httpPort: Int
  /// Address of ``metricsPort``.
  @Setting(
    "metrics_host", "address", default: "127.0.0.1",
    "address that `BATON_METRICS_PORT` is opened at", SettingText.host)
  package var metricsHost: String
  /// Port of the metrics and probes alone, of every role; nil is off.
  @Setting(
    "metrics_port", "port", default: "off", example: "9464",
    "port of `/metrics`, `/livez` and `/readyz` alone, of every role; `serve` and `up` also have them on `BATON_HTTP_PORT`",
    SettingText.optionalPort)
  package var metricsPort: Int?
  /// Bearer tokens of `/api` and the dashboard.
  @Setting(
    "api_token", "token", example: "the output of `openssl rand -hex 32`", isSecret: true,
    "bearer token of `/api` and the dashboard, or `new,old`; without it `serve` makes one and prints a log-in link",
    SettingText.secrets(shortest: Settings.tokenByteCountMin))
  package var apiToken: SecretList?
  /// Bearer tokens that may only read.
  @Setting(
    "read_token", "token", example: "the output of `openssl rand -hex 32`", isSecret: true,
    "bearer token that may only read, or `new,old`: `GET` of `/api`, and the dashboard without buttons",
    SettingText.secrets(shortest: Settings.tokenByteCountMin))
  package var readToken: SecretList?
  /// The addresses whose headers about a request count.
  @Setting(
    "trusted_proxies", "addresses", unset: [], example: "10.0.0.7,fd00::/8",
    "addresses of proxies, comma-separated, whose `X-Forwarded-For` and `BATON_ACTOR_HEADER` count",
    SettingText.addressRanges)
  package var trustedProxies: [AddressRange]
  /// The header in which a trusted proxy names the person.
  @Setting(
    "actor_header", "name", example: "X-Forwarded-User",
    "the header in which a trusted proxy names the person, for the history; needs `BATON_TRUSTED_PROXIES`",
    SettingText.actorHeader)
  package var actorHeader: String?
  /// Values of `X-Internal-Secret` on status callbacks: the first is sent, each is accepted.
  @Setting(
    "callback_secret", "secret", example: "the output of `openssl rand -hex 32`", isSecret: true,
    "value of `X-Internal-Secret` on status callbacks; or `new,old`: the first is sent, each is accepted",
    SettingText.secrets())
  package var callbackSecret: SecretList?
  /// Base URL that the reference worker calls back, without a slash at its end; from host and port unless set.
  @Setting(
    "callback_url", "url", unset: "", note: "from host and port", example: "http://127.0.0.1:8080",
    "base URL that the reference worker calls back", SettingText.httpURL)
  package var callbackURL: String
  /// 32 bytes in base64 each: the first seals and signs, each opens and verifies.
  @Setting(
    "encryption_key", "key", example: "the output of `openssl rand -base64 32`", isSecret: true,
    "32 bytes, base64: encrypts tokens stored in `platform_integrations` (AES-GCM); or `new,old`: the first encrypts, each decrypts",
    SettingText.encryptionKeys)
  package var encryptionKey: SecretList?
  /// Base URL of GitHub's REST API, without a slash at its end.
  @Setting(
    "github_api_url", "url", default: "https://api.github.com", "base URL of GitHub's REST API", SettingText.tokenURL)
  package var githubAPIURL: String
  /// The GitHub App's number or client ID.
  @Setting("github_app_id", "id", example: "123456", "number or client ID of the GitHub App", SettingText.appID)
  package var githubAppID: String?
  /// The GitHub App's private key as PEM text, PKCS#1 or PKCS#8.
  @Setting(
    "github_private_key", "@file", example: "@/etc/baton/github.pem", isSecret: true,
    "the GitHub App's private key as PEM text, or `@/path/to.pem`", SettingText.privateKey)
  package var githubPrivateKey: Secret?
  /// Secrets that GitHub's webhooks are signed with; each is accepted.
  @Setting(
    "github_webhook_secret", "secret", example: "the output of `openssl rand -hex 32`", isSecret: true,
    "secret that signs GitHub's webhooks, or `new,old`: each is accepted; without it they are answered 503",
    SettingText.secrets())
  package var githubWebhookSecret: SecretList?
  /// Tokens of GitLab's webhooks; each is accepted.
  @Setting(
    "gitlab_webhook_secret", "secret", example: "the output of `openssl rand -hex 32`", isSecret: true,
    "token of GitLab's webhooks, or `new,old`: each is accepted; without it they are answered 503",
    SettingText.secrets())
  package var gitlabWebhookSecret: SecretList?
  /// Hosts that an integration may name, lower case, each with a port if one was given.
  @Setting(
    "gitlab_hosts", "hosts", default: "gitlab.com", example: "gitlab.com,gitlab.example.com:8443",
    "hosts that an integration may name, comma-separated; anything else is refused", SettingText.hosts)
  package var gitlabHosts: [String]
  /// Hosts that endpoints of events may be at, lower case, each with a port if one was given.
  @Setting(
    "event_hosts", "hosts", unset: [], example: "hooks.example.com,ci.example.com:8443",
    "`serve`: hosts that events of ended reviews may be sent to, comma-separated; anything else is refused",
    SettingText.hosts)
  package var eventHosts: [String]
  /// What a new installation of the GitHub App becomes.
  @Setting(
    "github_provision", "off|account", default: "off",
    "`account`: a new installation of the GitHub App gets an integration of `org:LOGIN` or `user:LOGIN`, with reviews enabled",
    SettingText.choice())
  package var githubProvision: GitHubProvision
  /// The word of a comment that asks for a review; nil for none.
  @Setting(
    "review_command", "word|off", default: "/review",
    "a comment with this word by a person with write access asks for a review; `off` for none",
    SettingText.optionalWord)
  package var reviewCommand: String?
  /// The label that asks for a review; nil for none.
  @Setting(
    "review_label", "label|off", default: "off", example: "review",
    "adding this label asks for a review; `off` for none", SettingText.optionalWord)
  package var reviewLabel: String?
  /// Base URL under which people see the dashboard, without a slash at its end.
  @Setting(
    "public_url", "url", example: "https://baton.example.com",
    "base URL under which people see the dashboard: checks link to a review's page", SettingText.httpURL)
  package var publicURL: String?
  /// Time between two catch-ups: looks for missed webhooks and unreviewed pull requests; zero for none.
  @Setting(
    "catch_up_interval", "time", default: "5m",
    "`reap --interval` and `up`: between looks for missed webhooks and unreviewed pull requests; `0` for none",
    SettingText.duration(min: .zero))
  package var catchUpInterval: Duration
  /// How far the first look at open pull requests goes back; zero for no bound.
  @Setting(
    "catch_up_age", "time", default: "0",
    "the first catch-up looks only at open pull requests that have changed within this time, later ones at what has changed since the last; `0` for no bound",
    SettingText.duration(min: .zero))
  package var catchUpAge: Duration
  /// The agent version of the owners that the rollout has reached.
  @Setting(
    "agent_version", "version", example: "v2",
    "agent version for owners whose configuration names none, as far as the rollout has come", SettingText.plain)
  package var agentVersion: String?
  /// How many of a hundred owners the rollout has reached.
  @Setting(
    "agent_version_percent", "percent", default: "100",
    "how many of a hundred owners get `BATON_AGENT_VERSION`; an owner that has it keeps it when more do",
    SettingText.integer(0...100))
  package var agentVersionPercent: Int
  /// Base URL of PostHog, without a slash at its end; with ``posthogKey`` or not at all.
  @Setting(
    "posthog_url", "url", example: "https://us.i.posthog.com",
    "base URL of PostHog, whose flag `baton-agent-version` then decides in the percentage's place", SettingText.tokenURL
  )
  package var posthogURL: String?
  /// Project API key of PostHog.
  @Setting(
    "posthog_key", "key", example: "phc_… of the project's settings", isSecret: true,
    "project API key of PostHog; needed with `BATON_POSTHOG_URL`", SettingText.secret)
  package var posthogKey: Secret?
  /// How long a role may take to drain after SIGTERM.
  @Setting(
    "drain_timeout", "time", default: "30s",
    "after SIGTERM, work in flight has this long to end before it is handed back", SettingText.duration(min: .zero))
  package var drainTimeout: Duration
  /// How long a server still takes requests after SIGTERM.
  @Setting(
    "drain_delay", "time", default: "5s",
    "`serve` and `up`: after SIGTERM they take requests for this long, a part of `BATON_DRAIN_TIMEOUT`, while `/readyz` already answers 503",
    SettingText.duration(min: .zero))
  package var drainDelay: Duration
  /// How log records are written.
  @Setting("log_format", "format", default: "text", "`text` or `json`", SettingText.choice())
  package var logFormat: LogFormat
  /// The least level of log records.
  @Setting(
    "log_level", "level", default: "info", "`trace`, `debug`, `info`, `notice`, `warning`, `error` or `critical`",
    SettingText.choice())
  package var logLevel: LogLevel
  /// A PEM file of authorities: trusted in addition to the system's by HTTP clients, and alone by those of Postgres and RabbitMQ.
  @Setting(
    "ca_file", "file", example: "/etc/baton/ca.pem",
    "PEM file of certificate authorities: trusted in addition to the system's for HTTP, in place of them for RabbitMQ and Postgres",
    SettingText.authorityFile)
  package var caFile: String?
  /// The client's certificate for RabbitMQ, a PEM file.
  @Setting(
    "amqp_cert_file", "file", example: "/etc/baton/amqp.pem",
    "PEM file of Baton's own certificate for RabbitMQ; needs `amqps://`", SettingText.plain)
  package var amqpCertFile: String?
  /// The key of ``amqpCertFile``, a PEM file.
  @Setting(
    "amqp_key_file", "file", example: "/etc/baton/amqp.key",
    "PEM file of the key of `BATON_AMQP_CERT_FILE`, without a passphrase, closed to others (`chmod 600`)",
    SettingText.plain)
  package var amqpKeyFile: String?
  /// Base URL of the collector that spans are sent to, without a slash at its end; nil for none.
  @Setting(
    "otlp_endpoint", "url|off", default: "off", example: "http://127.0.0.1:4318",
    standard: "OTEL_EXPORTER_OTLP_ENDPOINT",
    "base URL of a collector that takes traces by OTLP over HTTP; else `OTEL_EXPORTER_OTLP_ENDPOINT` gives it",
    SettingText.optionalURL)
  package var otlpEndpoint: String?
  /// Headers of each request to the collector.
  @Setting(
    "otlp_headers", "name=value,…", unset: [], example: "x-api-key=the-key", isSecret: true,
    standard: "OTEL_EXPORTER_OTLP_HEADERS",
    "headers of each request to the collector, comma-separated, values percent-encoded; else `OTEL_EXPORTER_OTLP_HEADERS`",
    SettingText.headers)
  package var otlpHeaders: [HTTPHeader]
  /// How many of the traces that begin at Baton are recorded.
  @Setting(
    "trace_ratio", "number", default: "1", example: "0.1", standard: "OTEL_TRACES_SAMPLER_ARG",
    "how many traces are recorded, from `0` for none to `1` for all, the same in all roles; else `OTEL_TRACES_SAMPLER_ARG`",
    SettingText.ratio)
  package var traceRatio: Double

  /// What is odd but no fault, one sentence each; for the log.
  package var warnings: [String] = []
  /// The settings that were given, as opposed to the defaults.
  package var given: Set<Key> = []

  /// Nothing; a user, process and mount namespace for each run; or a user id for each run.
  package enum AgentIsolationMode: String, Sendable, CaseIterable { case off, namespaces, users }

  /// Nothing; or an integration of the owner that the GitHub account's name gives.
  package enum GitHubProvision: String, Sendable, CaseIterable { case off, account }

  /// A header of HTTP whose value is a secret.
  package struct HTTPHeader: Sendable {
    package let name: String
    package let value: Secret
  }

  /// The levels of swift-log, by its names.
  package enum LogLevel: String, Sendable, CaseIterable { case trace, debug, info, notice, warning, error, critical }

  /// The defaults.
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
