internal import BatonServer
package import Dispatching
internal import Logging
package import Platforms
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import ServiceLifecycle
internal import Settings
internal import Telemetry
internal import WorkerAPI

extension DispatcherProcess {
  /// Opens what integrations store; nil without BATON_ENCRYPTION_KEY.
  package var cipher: TokenCipher? {
    let keys = settings.revealEncryptionKeys()
    return keys.isEmpty ? nil : TokenCipher(keys: keys)
  }

  /// Whether the key fits; nil without BATON_ENCRYPTION_KEY.
  package var keyWatch: KeyWatch? { cipher.map { KeyWatch(store, $0) } }

  /// What webhooks of this process are recognised by.
  var webhookSecrets: WebhookSecrets {
    WebhookSecrets(
      github: settings.githubWebhookSecret, gitlab: settings.gitlabWebhookSecret,
      cipher: cipher)
  }

  /// What the settings say about webhooks.
  var webhookPolicy: WebhookPolicy {
    WebhookPolicy(
      command: settings.reviewCommand, label: settings.reviewLabel,
      provisioning: settings.githubProvision == .account ? .account : .off, appID: settings.githubAppID)
  }

  /// Finishes the webhooks that a process stored and did not process to their end.
  var webhookIntake: WebhookIntake { WebhookIntake(store: store, policy: webhookPolicy, logger: logger) }

  /// Sends the feedback on pull requests.
  func feedbackRelay(_ platforms: PlatformAssembly) -> some Service {
    // Informs only: callbacks, and what needs no stored secret, go on.
    if let keys = keyWatch { readiness.register("encryption_key", isRequired: false) { await keys.look() } }
    let sender = FeedbackSender(access: platforms.access, publicURL: settings.publicURL)
    return FeedbackRelay(store: store, circuits: platforms.outboxCircuits, logger: logger) { await sender.send($0) }
  }

  /// Does what webhooks ask of a platform: who may ask for a review, and where a pull request stands.
  func platformTasks(_ platforms: PlatformAssembly) -> some Service {
    PlatformTasks(
      store: store, questions: PlatformQuestions(access: platforms.access, publicURL: settings.publicURL),
      circuits: platforms.outboxCircuits, logger: logger)
  }

  /// Sends events to other programs; nil without BATON_ENCRYPTION_KEY, which opens their secrets.
  func eventRelay(_ platforms: PlatformAssembly) -> EventRelay? {
    guard let cipher else { return nil }
    let sender = EventSender(httpClient: platforms.httpClient, trust: trust)
    return EventRelay(store: store, cipher: cipher, allowedHosts: settings.eventHosts, logger: logger) {
      await sender.send($0, to: $1, headers: $2)
    }
  }

  /// The HTTP server of this process.
  /// - Parameter showLoginLink: shows a link that signs one browser in, if the server makes its own token; nil writes it to the log.
  func server(showLoginLink: (@Sendable (String) -> Void)?) throws -> BatonServer {
    let link = settings.apiToken == nil ? loginLink(showLoginLink) : nil
    let configuration = BatonServer.Configuration(
      host: settings.httpHost, port: settings.httpPort,
      connectionMax: files[.clients] ?? OpenFiles.Demand.clients.least,
      apiToken: settings.apiToken ?? SecretList(.random()), readToken: settings.readToken,
      proxies: TrustedProxies(ranges: settings.trustedProxies, actorHeader: settings.actorHeader), loginLink: link,
      callbackSecret: settings.callbackSecret,
      authKeys: settings.revealEncryptionKeys().map { AuthKey(encryptionKey: $0) }, webhooks: webhookSecrets,
      webhookPolicy: webhookPolicy,
      heartbeatTimeout: settings.heartbeatTimeout,
      watch: WatchPolicy(times: policy.reapTimes, ownerLimit: policy.ownerLimit, queue: policy.queue),
      administration: AdministrationPolicy(
        cipher: cipher, gitlabHosts: settings.gitlabHosts, eventHosts: settings.eventHosts))
    let (logger, settings) = (logger, settings)
    return BatonServer(
      configuration: configuration, store: store,
      worker: try workerClient(timeout: min(settings.workerTimeout, Self.eventsTimeout)), queueStats: queueFigures,
      deadLetters: deadLetters, metrics: metrics, registry: registry, readiness: readiness,
      isOpen: { [schemaFound] in schemaFound.isReached }, logger: logger,
      // Who reads this calls the server, which has to be open by then.
      onBound: { [schemaFound] port in
        schemaFound.whenReached {
          logger.notice("listening", metadata: ["url": "http://\(configuration.host):\(port)"])
          for warning in settings.exposureWarnings { logger.warning("\(warning)") }
          link?.issue()
        }
      })
  }

  private func loginLink(_ show: (@Sendable (String) -> Void)?) -> LoginLink {
    let (base, logger) = (settings.dashboardURL, logger)
    return LoginLink { path in
      if let show { return show(base + path) }
      logger.notice(
        "to sign in to the dashboard, open this link; it works once, within an hour",
        metadata: ["link": "\(base)\(path)"])
    }
  }

  /// How long a review's page waits for its worker's events.
  private static let eventsTimeout: Duration = .seconds(2)
}
