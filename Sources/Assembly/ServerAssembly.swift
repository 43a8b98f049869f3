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

  /// What a server does in addition to answering: left-behind webhooks, the feedback on pull requests, and probes on their own port.
  /// To be listed before the server.
  /// - Parameter platforms: nil if BATON_ENCRYPTION_KEY is not set.
  package func serverServices(_ platforms: PlatformAssembly?) -> [any Service] {
    let intake = WebhookIntake(store: store, logger: logger)
    guard let platforms else {
      logger.warning("BATON_ENCRYPTION_KEY is not set: this process gives no feedback on pull requests")
      return probeServices() + [intake]
    }
    // Informs only: callbacks, and what needs no stored secret, go on.
    if let keys = keyWatch { readiness.register("encryption_key", isRequired: false) { await keys.look() } }
    let sender = FeedbackSender(access: platforms.access)
    return probeServices() + [intake, FeedbackDelivery(store: store, logger: logger) { await sender.send($0) }]
  }
}
