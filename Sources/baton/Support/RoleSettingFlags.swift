internal import ArgumentParser
internal import Settings

/// How many reviews are claimed and published, and when a claim counts as abandoned.
struct FlowOptions: ParsableArguments, SettingFlags {
  @Option(name: .setting(.maxQueueDepth), help: .setting(.maxQueueDepth, "count"))
  var maxQueueDepth: String?

  @Option(name: .setting(.ownerLimit), help: .setting(.ownerLimit, "count"))
  var ownerLimit: String?

  @Option(name: .setting(.pollInterval), help: .setting(.pollInterval, "time"))
  var pollInterval: String?

  @Option(name: .setting(.publishGrace), help: .setting(.publishGrace, "time"))
  var publishGrace: String?

  @Option(name: .setting(.staleAfter), help: .setting(.staleAfter, "time"))
  var staleAfter: String?

  @Option(name: .setting(.runningTimeout), help: .setting(.runningTimeout, "time"))
  var runningTimeout: String?

  @Option(name: .setting(.lease), help: .setting(.lease, "time"))
  var lease: String?

  @Option(name: .setting(.maxAttempts), help: .setting(.maxAttempts, "count"))
  var maxAttempts: String?

  @Option(name: .setting(.drainTimeout), help: .setting(.drainTimeout, "time"))
  var drainTimeout: String?

  var given: [Settings.Key: String?] {
    [
      .maxQueueDepth: maxQueueDepth, .ownerLimit: ownerLimit, .pollInterval: pollInterval,
      .publishGrace: publishGrace, .staleAfter: staleAfter, .runningTimeout: runningTimeout, .lease: lease,
      .maxAttempts: maxAttempts, .drainTimeout: drainTimeout,
    ]
  }
}

/// How a consumer prepares and dispatches.
struct DispatchOptions: ParsableArguments, SettingFlags {
  @Option(name: .setting(.prefetch), help: .setting(.prefetch, "count"))
  var prefetch: String?

  @Option(name: .setting(.prepareTimeout), help: .setting(.prepareTimeout, "time"))
  var prepareTimeout: String?

  @Option(name: .setting(.retryBase), help: .setting(.retryBase, "time"))
  var retryBase: String?

  @Option(name: .setting(.retryMax), help: .setting(.retryMax, "time"))
  var retryMax: String?

  var given: [Settings.Key: String?] {
    [.prefetch: prefetch, .prepareTimeout: prepareTimeout, .retryBase: retryBase, .retryMax: retryMax]
  }
}

/// What `serve` and `up` listen on, and whom they answer.
struct HTTPOptions: ParsableArguments, SettingFlags {
  @Option(name: .setting(.httpHost), help: .setting(.httpHost, "address"))
  var httpHost: String?

  @Option(name: .setting(.httpPort), help: .setting(.httpPort, "port"))
  var httpPort: String?

  @Option(name: .setting(.drainDelay), help: .setting(.drainDelay, "time"))
  var drainDelay: String?

  @Option(name: .setting(.apiToken), help: .setting(.apiToken, "token"))
  var apiToken: String?

  @Option(name: .setting(.readToken), help: .setting(.readToken, "token"))
  var readToken: String?

  @Option(name: .setting(.trustedProxies), help: .setting(.trustedProxies, "addresses"))
  var trustedProxies: String?

  @Option(name: .setting(.actorHeader), help: .setting(.actorHeader, "name"))
  var actorHeader: String?

  var given: [Settings.Key: String?] {
    [
      .httpHost: httpHost, .httpPort: httpPort, .drainDelay: drainDelay, .apiToken: apiToken, .readToken: readToken,
      .trustedProxies: trustedProxies, .actorHeader: actorHeader,
    ]
  }
}

/// Where a role shows its metrics on a port of their own.
struct MetricsOptions: ParsableArguments, SettingFlags {
  @Option(name: .setting(.metricsHost), help: .setting(.metricsHost, "address"))
  var metricsHost: String?

  @Option(name: .setting(.metricsPort), help: .setting(.metricsPort, "port"))
  var metricsPort: String?

  var given: [Settings.Key: String?] { [.metricsHost: metricsHost, .metricsPort: metricsPort] }
}

/// What the reference worker runs, and whom it calls back.
struct AgentOptions: ParsableArguments, SettingFlags {
  @Option(name: .setting(.agentCommand), help: .setting(.agentCommand, "command"), completion: .file())
  var agentCommand: String?

  @Option(name: .setting(.workerState), help: .setting(.workerState, "file"), completion: .file())
  var workerState: String?

  @Option(name: .setting(.workerLostRuns), help: .setting(.workerLostRuns, "fail|restart"))
  var workerLostRuns: String?

  @Option(name: .setting(.agentEnvironment), help: .setting(.agentEnvironment, "names"))
  var agentEnvironment: String?

  @Option(name: .setting(.agentIsolation), help: .setting(.agentIsolation, "off|namespaces|users"))
  var agentIsolation: String?

  @Option(name: .setting(.agentUsers), help: .setting(.agentUsers, "first-last"))
  var agentUsers: String?

  var given: [Settings.Key: String?] {
    [
      .agentCommand: agentCommand, .workerState: workerState, .workerLostRuns: workerLostRuns,
      .agentEnvironment: agentEnvironment, .agentIsolation: agentIsolation, .agentUsers: agentUsers,
    ]
  }
}

/// How callbacks come and are recognised.
struct CallbackOptions: ParsableArguments, SettingFlags {
  @Option(name: .setting(.callbackURL), help: .setting(.callbackURL, "url"))
  var callbackURL: String?

  @Option(name: .setting(.callbackSecret), help: .setting(.callbackSecret, "secret"))
  var callbackSecret: String?

  @Option(name: .setting(.encryptionKey), help: .setting(.encryptionKey, "key"))
  var encryptionKey: String?

  var given: [Settings.Key: String?] {
    [.callbackURL: callbackURL, .callbackSecret: callbackSecret, .encryptionKey: encryptionKey]
  }
}

/// How GitHub and GitLab are reached, and how their webhooks are recognised.
struct PlatformOptions: ParsableArguments, SettingFlags {
  @Option(name: .setting(.githubAPIURL), help: .setting(.githubAPIURL, "url"))
  var githubAPIURL: String?

  @Option(name: .setting(.githubAppID), help: .setting(.githubAppID, "id"))
  var githubAppID: String?

  @Option(name: .setting(.githubPrivateKey), help: .setting(.githubPrivateKey, "@file"))
  var githubPrivateKey: String?

  @Option(name: .setting(.githubWebhookSecret), help: .setting(.githubWebhookSecret, "secret"))
  var githubWebhookSecret: String?

  @Option(name: .setting(.gitlabWebhookSecret), help: .setting(.gitlabWebhookSecret, "secret"))
  var gitlabWebhookSecret: String?

  @Option(name: .setting(.gitlabHosts), help: .setting(.gitlabHosts, "hosts"))
  var gitlabHosts: String?

  @Option(name: .setting(.agentVersion), help: .setting(.agentVersion, "version"))
  var agentVersion: String?

  @Option(name: .setting(.agentVersionPercent), help: .setting(.agentVersionPercent, "percent"))
  var agentVersionPercent: String?

  @Option(name: .setting(.posthogURL), help: .setting(.posthogURL, "url"))
  var posthogURL: String?

  @Option(name: .setting(.posthogKey), help: .setting(.posthogKey, "key"))
  var posthogKey: String?

  var given: [Settings.Key: String?] {
    [
      .githubAPIURL: githubAPIURL, .githubAppID: githubAppID, .githubPrivateKey: githubPrivateKey,
      .githubWebhookSecret: githubWebhookSecret, .gitlabWebhookSecret: gitlabWebhookSecret, .gitlabHosts: gitlabHosts,
      .agentVersion: agentVersion, .agentVersionPercent: agentVersionPercent, .posthogURL: posthogURL,
      .posthogKey: posthogKey,
    ]
  }
}

/// What stored secrets are encrypted with, and the GitLab hosts that may be named.
struct CredentialOptions: ParsableArguments, SettingFlags {
  @Option(name: .setting(.encryptionKey), help: .setting(.encryptionKey, "key"))
  var encryptionKey: String?

  @Option(name: .setting(.gitlabHosts), help: .setting(.gitlabHosts, "hosts"))
  var gitlabHosts: String?

  var given: [Settings.Key: String?] { [.encryptionKey: encryptionKey, .gitlabHosts: gitlabHosts] }
}
