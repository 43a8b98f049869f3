internal import ArgumentParser
internal import Settings

/// How many reviews are claimed and published, and when a claim counts as abandoned.
struct FlowOptions: ParsableArguments, SettingFlags {
  @Option(setting: "max_queue_depth")
  var maxQueueDepth: String?

  @Option(setting: "owner_limit")
  var ownerLimit: String?

  @Option(setting: "poll_interval")
  var pollInterval: String?

  @Option(setting: "publish_grace")
  var publishGrace: String?

  @Option(setting: "stale_after")
  var staleAfter: String?

  @Option(setting: "running_timeout")
  var runningTimeout: String?

  @Option(setting: "lease")
  var heartbeatTimeout: String?

  @Option(setting: "max_attempts")
  var maxAttempts: String?

  @Option(setting: "drain_timeout")
  var drainTimeout: String?
}

/// How a consumer prepares and dispatches.
struct DispatchOptions: ParsableArguments, SettingFlags {
  @Option(setting: "prefetch")
  var prefetch: String?

  @Option(setting: "prepare_timeout")
  var leaseDuration: String?

  @Option(setting: "retry_base")
  var retryBase: String?

  @Option(setting: "retry_max")
  var retryMax: String?
}

/// What `serve` and `up` listen on, and whom they answer.
struct HTTPOptions: ParsableArguments, SettingFlags {
  @Option(setting: "http_host")
  var httpHost: String?

  @Option(setting: "http_port")
  var httpPort: String?

  @Option(setting: "drain_delay")
  var drainDelay: String?

  @Option(setting: "api_token")
  var apiToken: String?

  @Option(setting: "read_token")
  var readToken: String?

  @Option(setting: "trusted_proxies")
  var trustedProxies: String?

  @Option(setting: "actor_header")
  var actorHeader: String?
}

/// Where a role shows its metrics on a port of their own, and where its traces go.
struct MetricsOptions: ParsableArguments, SettingFlags {
  @Option(setting: "metrics_host")
  var metricsHost: String?

  @Option(setting: "metrics_port")
  var metricsPort: String?

  @Option(setting: "otlp_endpoint")
  var otlpEndpoint: String?

  @Option(setting: "otlp_headers")
  var otlpHeaders: String?

  @Option(setting: "trace_ratio")
  var traceRatio: String?
}

/// What the reference worker runs, and whom it calls back.
struct AgentOptions: ParsableArguments, SettingFlags {
  @Option(setting: "agent_command", completion: .file())
  var agentCommand: String?

  @Option(setting: "worker_state", completion: .file())
  var workerState: String?

  @Option(setting: "worker_lost_runs")
  var workerLostRuns: String?

  @Option(setting: "agent_environment")
  var agentEnvironment: String?

  @Option(setting: "agent_isolation")
  var agentIsolation: String?

  @Option(setting: "agent_users")
  var agentUsers: String?
}

/// How callbacks come and are recognised.
struct CallbackOptions: ParsableArguments, SettingFlags {
  @Option(setting: "callback_url")
  var callbackURL: String?

  @Option(setting: "callback_secret")
  var callbackSecret: String?

  @Option(setting: "encryption_key")
  var encryptionKey: String?
}

/// How GitHub, GitLab and the receivers of events are reached, and what they are shown.
struct PlatformOptions: ParsableArguments, SettingFlags {
  @Option(setting: "github_api_url")
  var githubAPIURL: String?

  @Option(setting: "github_app_id")
  var githubAppID: String?

  @Option(setting: "github_private_key")
  var githubPrivateKey: String?

  @Option(setting: "gitlab_hosts")
  var gitlabHosts: String?

  @Option(setting: "event_hosts")
  var eventHosts: String?

  @Option(setting: "public_url")
  var publicURL: String?
}

/// How the webhooks of GitHub and GitLab are recognised, and what they may ask for.
struct WebhookOptions: ParsableArguments, SettingFlags {
  @Option(setting: "github_webhook_secret")
  var githubWebhookSecret: String?

  @Option(setting: "gitlab_webhook_secret")
  var gitlabWebhookSecret: String?

  @Option(setting: "github_provision")
  var githubProvision: String?

  @Option(setting: "review_command")
  var reviewCommand: String?

  @Option(setting: "review_label")
  var reviewLabel: String?
}

/// Which version of the agent a review gets.
struct AgentVersionOptions: ParsableArguments, SettingFlags {
  @Option(setting: "agent_version")
  var agentVersion: String?

  @Option(setting: "agent_version_percent")
  var agentVersionPercent: String?

  @Option(setting: "posthog_url")
  var posthogURL: String?

  @Option(setting: "posthog_key")
  var posthogKey: String?
}

/// When webhooks that were lost are looked for.
struct CatchUpOptions: ParsableArguments, SettingFlags {
  @Option(setting: "catch_up_interval")
  var catchUpInterval: String?

  @Option(setting: "catch_up_age")
  var catchUpAge: String?
}

/// What stored secrets are encrypted with, and the GitLab hosts that may be named.
struct CredentialOptions: ParsableArguments, SettingFlags {
  @Option(setting: "encryption_key")
  var encryptionKey: String?

  @Option(setting: "gitlab_hosts")
  var gitlabHosts: String?
}
