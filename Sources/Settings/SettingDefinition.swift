internal import Primitives
internal import Reviews

/// A setting as the outside sees it, and how its text becomes a value.
struct SettingDefinition: Sendable {
  let key: Settings.Key
  /// Parsed like a given value if none is given; `nil` leaves the setting unset.
  let defaultText: String?
  /// What the documentation says in the default's place if that is no plain text.
  let defaultNote: String?
  let meaning: String
  /// A right value, for the message about a wrong one.
  let example: String
  /// Whether its value must not stand in a message.
  let isSecret: Bool
  /// Stores the value of a text.
  let read: @Sendable (String, inout Settings) throws(SettingFault) -> Void

  init<Value>(
    _ key: Settings.Key, _ path: any WritableKeyPath<Settings, Value> & Sendable, default defaultText: String? = nil,
    note: String? = nil, example: String? = nil, isSecret: Bool = false, _ meaning: String,
    _ parse: @escaping @Sendable (String) throws(SettingFault) -> Value
  ) {
    self.key = key
    self.defaultText = defaultText
    self.defaultNote = note
    self.meaning = meaning
    self.example = example ?? defaultText ?? ""
    self.isSecret = isSecret
    self.read = { text, settings throws(SettingFault) in settings[keyPath: path] = try parse(text) }
  }

  static let all: [SettingDefinition] = database + reviews + worker + http + platforms + process

  static let database: [SettingDefinition] = [
    SettingDefinition(
      .databaseURL, \.databaseURL, example: "postgres://baton:password@localhost:5432/baton", isSecret: true,
      "libpq URI or conninfo of Postgres", SettingText.databaseURL),
    SettingDefinition(.databasePool, \.databasePool, default: "4", "connections to Postgres a process") {
      text throws(SettingFault) in try SettingText.integer(text, 1...1000)
    },
    SettingDefinition(
      .amqpURL, \.amqpURLs, example: "amqp://guest:guest@localhost:5672", isSecret: true,
      "`amqp://` or `amqps://` URL of RabbitMQ; a comma-separated list is tried in turn (cluster nodes)",
      SettingText.amqpURLs),
    SettingDefinition(.queue, \.queue, default: "baton.reviews", "name of the work queue", SettingText.queueName),
  ]

  static let reviews: [SettingDefinition] = [
    SettingDefinition(
      .maxQueueDepth, \.maxQueueDepth, default: "1000",
      "the producer stops claiming while this many messages are ready"
    ) { text throws(SettingFault) in try SettingText.integer(text, 1...10_000_000) },
    SettingDefinition(
      .ownerLimit, \.ownerLimit, default: "20",
      "reviews an owner may have queued or running at once, unless set per owner"
    ) { text throws(SettingFault) in try SettingText.integer(text, 1...1_000_000) },
    .positive(.pollInterval, \.pollInterval, default: "5s", "fallback when a notification is missed"),
    SettingDefinition(
      .prefetch, \.prefetch, default: "256", "reviews one consumer process prepares and dispatches at once"
    ) { text throws(SettingFault) in try SettingText.integer(text, 1...65535) },
    .positive(
      .lease, \.lease, default: "15s",
      "heartbeat timeout: a consumer without a heartbeat for this long is dead, and its leases with it"),
    .positive(
      .prepareTimeout, \.prepareTimeout, default: "60s",
      "length of a lease, so of preparation and call together: more than `BATON_WORKER_TIMEOUT`"),
    .positive(
      .publishGrace, \.publishGrace, default: "15s",
      "a claimed row whose publish was never confirmed is abandoned after this"),
    .positive(
      .staleAfter, \.staleAfter, default: "5m",
      "a queued row that was not touched for this long is abandoned; doubles at every republish of the row, up to 1h"),
    .positive(
      .runningTimeout, \.runningTimeout, default: "30m",
      "a running row that has been silent for this long is reconciled with the worker"),
    SettingDefinition(
      .maxAttempts, \.maxAttempts, default: "8",
      "a review fails after this many dispatches that failed for its own sake, or consumers that died with it"
    ) { text throws(SettingFault) in try SettingText.integer(text, 1...1000) },
    .duration(.retryBase, \.retryBase, default: "2s", "ceiling of the first retry's wait; doubles, with full jitter"),
    .duration(.retryMax, \.retryMax, default: "5m", "ceiling of every retry's wait"),
  ]

  static let worker: [SettingDefinition] = [
    SettingDefinition(
      .workerURL, \.workerURL, example: "http://127.0.0.1:8090", "base URL of the worker", SettingText.httpURL),
    .secrets(
      .workerToken, \.workerToken, "bearer token of the worker; or `new,old`: the first is sent, each is accepted"),
    .positive(.workerTimeout, \.workerTimeout, default: "10s", "deadline of one call of the worker"),
    SettingDefinition(
      .agentCommand, \.agentCommand, example: "/usr/local/bin/review-agent",
      "`worker`: the command run for a review (payload on standard input)", SettingText.plain),
    SettingDefinition(
      .workerState, \.workerState, default: "./baton-worker.sqlite", "`worker`: its own durable state",
      SettingText.plain),
    SettingDefinition(
      .workerLostRuns, \.workerLostRuns, default: "fail",
      "`worker`: `fail` or `restart` a run whose agent has died with the worker"
    ) { text throws(SettingFault) in try SettingText.choice(text) },
    SettingDefinition(
      .agentEnvironment, \.agentEnvironment, example: "JAVA_HOME,ANTHROPIC_*",
      "`worker`: further variables that agents get of the worker's environment, comma-separated; `*` may end a name",
      SettingText.variableNames),
    SettingDefinition(
      .agentIsolation, \.agentIsolation, default: "off",
      "`worker`: how runs are kept apart: `off`, `namespaces` (works without root) or `users` (needs root)"
    ) { text throws(SettingFault) in try SettingText.choice(text) },
    SettingDefinition(
      .agentUsers, \.agentUsers, example: "70000-70015",
      "`worker`: the user ids of `BATON_AGENT_ISOLATION=users`, one for each run at once, that nothing else uses",
      SettingText.userIDs),
  ]

  static let http: [SettingDefinition] = [
    SettingDefinition(
      .httpHost, \.httpHost, default: "127.0.0.1", "address that `serve` and `up` listen on", SettingText.host),
    SettingDefinition(.httpPort, \.httpPort, default: "8080", "port that `serve` and `up` listen on", SettingText.port),
    SettingDefinition(
      .metricsHost, \.metricsHost, default: "127.0.0.1",
      "address of `/metrics`, `/livez`, `/readyz` on a port of their own",
      SettingText.host),
    SettingDefinition(
      .metricsPort, \.metricsPort, default: "off", example: "9464",
      "port of the same; `serve` and `up` have them on the main port too", SettingText.optionalPort),
    .secrets(
      .apiToken, \.apiToken, shortest: Settings.tokenByteCountMin,
      "bearer token of `/api` and the dashboard, or `new,old`; without it `serve` makes one and prints a log-in link"),
    .secrets(
      .readToken, \.readToken, shortest: Settings.tokenByteCountMin,
      "the same for those who only read: GET of `/api`, and the dashboard without buttons"),
    SettingDefinition(
      .trustedProxies, \.trustedProxies, example: "10.0.0.7,fd00::/8",
      "addresses of proxies, comma-separated, whose `X-Forwarded-For` and `BATON_ACTOR_HEADER` count",
      SettingText.addressRanges),
    SettingDefinition(
      .actorHeader, \.actorHeader, example: "X-Forwarded-User",
      "the header in which a trusted proxy names the person, for the history; needs `BATON_TRUSTED_PROXIES`",
      SettingText.actorHeader),
    .secrets(
      .callbackSecret, \.callbackSecret,
      "value of `X-Internal-Secret` on status callbacks; or `new,old`: the first is sent, each is accepted"),
    SettingDefinition(
      .callbackURL, \.callbackURL, note: "from host and port", example: "http://127.0.0.1:8080",
      "base URL that the reference worker calls back", SettingText.httpURL),
    SettingDefinition(
      .encryptionKey, \.encryptionKey, example: "the output of `openssl rand -base64 32`", isSecret: true,
      "32 bytes, base64: encrypts tokens stored in `platform_integrations` (AES-GCM); or `new,old`: the first encrypts, each decrypts",
      SettingText.encryptionKeys),
  ]

  static let platforms: [SettingDefinition] = [
    SettingDefinition(
      .githubAPIURL, \.githubAPIURL, default: "https://api.github.com", "base URL of GitHub's REST API",
      SettingText.tokenURL),
    SettingDefinition(
      .githubAppID, \.githubAppID, example: "123456", "number or client ID of the GitHub App", SettingText.appID),
    SettingDefinition(
      .githubPrivateKey, \.githubPrivateKey, example: "@/etc/baton/github.pem", isSecret: true,
      "the GitHub App's private key as PEM text, or `@/path/to.pem`", SettingText.privateKey),
    .secrets(
      .githubWebhookSecret, \.githubWebhookSecret,
      "without it GitHub's webhook answers 503; or `new,old`: each is accepted"),
    .secrets(
      .gitlabWebhookSecret, \.gitlabWebhookSecret,
      "without it GitLab's webhook answers 503; or `new,old`: each is accepted"),
    SettingDefinition(
      .gitlabHosts, \.gitlabHosts, default: "gitlab.com", example: "gitlab.com,gitlab.example.com:8443",
      "hosts that an integration may name, comma-separated; anything else is refused", SettingText.hosts),
    SettingDefinition(
      .agentVersion, \.agentVersion, example: "v2",
      "agent version for owners whose configuration names none, as far as the rollout has come", SettingText.plain),
    SettingDefinition(
      .agentVersionPercent, \.agentVersionPercent, default: "100",
      "how many of a hundred owners get `BATON_AGENT_VERSION`; an owner that has it keeps it when more do"
    ) { text throws(SettingFault) in try SettingText.integer(text, 0...100) },
    SettingDefinition(
      .posthogURL, \.posthogURL, example: "https://us.i.posthog.com",
      "base URL of PostHog, whose flag `baton-agent-version` then decides in the percentage's place",
      SettingText.tokenURL),
    SettingDefinition(
      .posthogKey, \.posthogKey, example: "phc_… of the project's settings", isSecret: true,
      "project API key of PostHog; needed with `BATON_POSTHOG_URL`", SettingText.secret),
  ]

  static let process: [SettingDefinition] = [
    .duration(
      .drainTimeout, \.drainTimeout, default: "30s",
      "after SIGTERM, work in flight has this long to end before it is handed back"),
    SettingDefinition(.logFormat, \.logFormat, default: "text", "`text` or `json`") {
      text throws(SettingFault) in try SettingText.choice(text)
    },
    SettingDefinition(
      .logLevel, \.logLevel, default: "info", "`trace`, `debug`, `info`, `notice`, `warning`, `error` or `critical`"
    ) { text throws(SettingFault) in try SettingText.choice(text) },
    SettingDefinition(
      .caFile, \.caFile, example: "/etc/baton/ca.pem",
      "PEM file of certificate authorities: trusted in addition to the system's for HTTP, in place of them for RabbitMQ and Postgres",
      SettingText.authorityFile),
    SettingDefinition(
      .amqpCertFile, \.amqpCertFile, example: "/etc/baton/amqp.pem",
      "PEM file of Baton's own certificate for RabbitMQ; needs `amqps://`", SettingText.plain),
    SettingDefinition(
      .amqpKeyFile, \.amqpKeyFile, example: "/etc/baton/amqp.key",
      "PEM file of its key, without a passphrase, closed to others (`chmod 600`)", SettingText.plain),
  ]

  /// Secrets of which the first is used and each is accepted.
  /// - Parameter shortest: the fewest bytes of one.
  private static func secrets(
    _ key: Settings.Key, _ path: any WritableKeyPath<Settings, SecretList?> & Sendable, shortest: Int = 1,
    _ meaning: String
  ) -> SettingDefinition {
    SettingDefinition(key, path, example: "the output of `openssl rand -hex 32`", isSecret: true, meaning) {
      text throws(SettingFault) in try SettingText.secrets(text, shortest: shortest)
    }
  }

  private static func duration(
    _ key: Settings.Key, _ path: any WritableKeyPath<Settings, Duration> & Sendable, default text: String,
    _ meaning: String
  ) -> SettingDefinition {
    SettingDefinition(key, path, default: text, meaning) { text throws(SettingFault) in
      try SettingText.duration(text, min: .zero)
    }
  }

  private static func positive(
    _ key: Settings.Key, _ path: any WritableKeyPath<Settings, Duration> & Sendable, default text: String,
    _ meaning: String
  ) -> SettingDefinition {
    SettingDefinition(key, path, default: text, meaning) { text throws(SettingFault) in
      try SettingText.duration(text, min: .milliseconds(1))
    }
  }
}
