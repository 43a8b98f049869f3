package import BatonServer
package import Dispatching
internal import Logging
package import Platforms
internal import ReviewStore
internal import Reviews
package import ServiceLifecycle
internal import Settings
internal import Telemetry

extension DispatcherProcess {
  /// Opens what integrations store; nil without BATON_ENCRYPTION_KEY.
  package var cipher: TokenCipher? {
    let keys = settings.revealEncryptionKeys()
    return keys.isEmpty ? nil : TokenCipher(keys: keys)
  }

  /// Whether the key fits; nil without BATON_ENCRYPTION_KEY.
  package var keyWatch: KeyWatch? { cipher.map { KeyWatch(store, $0) } }

  /// What webhooks of this process are recognised by.
  package var webhookSecrets: WebhookSecrets {
    WebhookSecrets(
      github: settings.githubWebhookSecret, gitlab: settings.gitlabWebhookSecret,
      cipher: cipher)
  }

  /// What the settings say about webhooks.
  package var webhookPolicy: WebhookPolicy {
    WebhookPolicy(
      command: settings.reviewCommand, label: settings.reviewLabel,
      provisioning: settings.githubProvision == .account ? .account : .off, appID: settings.githubAppID)
  }

  /// What a server does beside answering: webhooks that were left behind, the feedback on pull requests, and probes on a port of their own.
  /// To be listed before the server.
  /// - Parameter platforms: nil where BATON_ENCRYPTION_KEY is not set.
  package func serverServices(_ platforms: PlatformAssembly?) -> [any Service] {
    let intake = WebhookIntake(store: store, policy: webhookPolicy, logger: logger)
    guard let platforms else {
      logger.warning("BATON_ENCRYPTION_KEY is not set: this process gives no feedback on pull requests")
      return probeServices() + [intake]
    }
    // Informs only: callbacks, and what needs no stored secret, go on.
    if let keys = keyWatch { readiness.register("encryption_key", isRequired: false) { await keys.look() } }
    let sender = FeedbackSender(access: platforms.access, publicURL: settings.publicURL)
    let questions = PlatformQuestions(access: platforms.access, publicURL: settings.publicURL)
    return probeServices() + [
      intake, FeedbackDelivery(store: store, logger: logger) { await sender.send($0) },
      PlatformTasks(store: store, questions: questions, logger: logger),
    ]
  }
}
