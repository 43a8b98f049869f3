package import BatonServer
internal import Logging
internal import Platforms
internal import ReviewStore
internal import Reviews
package import ServiceLifecycle
internal import Settings

extension DispatcherProcess {
  /// What webhooks of this process are recognised by.
  package var webhookSecrets: WebhookSecrets {
    WebhookSecrets(
      github: settings.githubWebhookSecret, gitlab: settings.gitlabWebhookSecret,
      cipher: settings.revealEncryptionKey().map { TokenCipher(key: $0) })
  }

  /// What a server does beside answering: webhooks that were left behind, the feedback on pull requests, and probes on a port of their own.
  /// To be listed before the server.
  /// - Parameter platforms: nil where BATON_ENCRYPTION_KEY is not set.
  package func serverServices(_ platforms: PlatformAssembly?) -> [any Service] {
    let intake = WebhookIntake(store: store, logger: logger)
    guard let platforms else {
      logger.warning("BATON_ENCRYPTION_KEY is not set: this process gives no feedback on pull requests")
      return probeServices() + [intake]
    }
    let sender = FeedbackSender(access: platforms.access)
    return probeServices() + [intake, FeedbackDelivery(store: store, logger: logger) { await sender.send($0) }]
  }
}
