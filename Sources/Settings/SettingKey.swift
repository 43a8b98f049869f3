extension Settings {
  /// Names a setting; the raw value is its key in a configuration file, and in the flags given to `load`.
  package enum Key: String, Sendable, CaseIterable {
    case databaseURL = "database_url"
    case databasePool = "database_pool"
    case amqpURL = "amqp_url"
    case queue
    case maxQueueDepth = "max_queue_depth"
    case ownerLimit = "owner_limit"
    case pollInterval = "poll_interval"
    case prefetch
    case lease
    case prepareTimeout = "prepare_timeout"
    case publishGrace = "publish_grace"
    case staleAfter = "stale_after"
    case runningTimeout = "running_timeout"
    case maxAttempts = "max_attempts"
    case retryBase = "retry_base"
    case retryMax = "retry_max"
    case workerURL = "worker_url"
    case workerToken = "worker_token"
    case workerTimeout = "worker_timeout"
    case httpHost = "http_host"
    case httpPort = "http_port"
    case metricsHost = "metrics_host"
    case metricsPort = "metrics_port"
    case apiToken = "api_token"
    case readToken = "read_token"
    case trustedProxies = "trusted_proxies"
    case actorHeader = "actor_header"
    case callbackSecret = "callback_secret"
    case callbackURL = "callback_url"
    case encryptionKey = "encryption_key"
    case githubAPIURL = "github_api_url"
    case githubAppID = "github_app_id"
    case githubPrivateKey = "github_private_key"
    case githubWebhookSecret = "github_webhook_secret"
    case gitlabWebhookSecret = "gitlab_webhook_secret"
    case gitlabHosts = "gitlab_hosts"
    case agentVersion = "agent_version"
    case agentVersionPercent = "agent_version_percent"
    case posthogURL = "posthog_url"
    case posthogKey = "posthog_key"
    case drainTimeout = "drain_timeout"
    case drainDelay = "drain_delay"
    case agentCommand = "agent_command"
    case workerState = "worker_state"
    case workerLostRuns = "worker_lost_runs"
    case agentEnvironment = "agent_environment"
    case agentIsolation = "agent_isolation"
    case agentUsers = "agent_users"
    case logFormat = "log_format"
    case logLevel = "log_level"
    case caFile = "ca_file"
    case amqpCertFile = "amqp_cert_file"
    case amqpKeyFile = "amqp_key_file"

    /// The environment's name of it: `BATON_DATABASE_URL`.
    package var variable: String { "BATON_\(rawValue.uppercased())" }
    /// The command line's name of it: `--database-url`.
    package var flag: String { "--\(rawValue.replacing("_", with: "-"))" }
  }
}
