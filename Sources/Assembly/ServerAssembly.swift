internal import AsyncHTTPClient
package import BatonServer
internal import Logging
internal import Platforms
internal import ReviewStore
internal import Reviews
package import ServiceLifecycle
internal import Settings

extension DispatcherProcess {
  /// Calls of GitHub and GitLab that feedback makes at once.
  private static let feedbackConnectionMax = 16

  /// What webhooks of this process are recognised by.
  package var webhookSecrets: WebhookSecrets {
    WebhookSecrets(
      github: settings.githubWebhookSecret, gitlab: settings.gitlabWebhookSecret,
      cipher: settings.revealEncryptionKey().map { TokenCipher(key: $0) })
  }

  /// What a server does beside answering: webhooks that were left behind, and the feedback on pull requests. To be listed
  /// before the server.
  package func serverServices() throws -> [any Service] {
    let intake = WebhookIntake(store: store, logger: logger)
    guard let key = settings.revealEncryptionKey() else {
      logger.warning("BATON_ENCRYPTION_KEY is not set: this process gives no feedback on pull requests")
      return [intake]
    }
    let http = PlatformPreparer.makeHTTPClient(connectionMax: Self.feedbackConnectionMax)
    let sender = try FeedbackSender(
      settings: PlatformSettings(
        githubAPIURL: settings.githubAPIURL, githubAppID: settings.githubAppID,
        githubPrivateKey: settings.githubPrivateKey, gitlabHosts: settings.gitlabHosts, encryptionKey: key),
      httpClient: http, logger: logger)
    let client = BackgroundService {
      try? await Task.sleep(for: .seconds(1_000_000_000))
      // A connection that does not close cleanly changes nothing.
      await Task { try? await http.shutdown() }.value
    }
    return [client, intake, FeedbackDelivery(store: store, logger: logger) { await sender.send($0) }]
  }
}
