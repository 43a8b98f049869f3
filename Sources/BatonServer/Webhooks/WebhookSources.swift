internal import FoundationEssentials
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews

/// Finds the integration that a webhook speaks for, and whether any has a secret of its own.
struct WebhookSources: Sendable {
  /// Integrations by installation, and those of GitLab by their id. Concurrent requests share one look-up: strangers who name some have one
  /// connection to Postgres together for each.
  let ofInstallations: Batcher<Int64, WebhookSource?>
  let ofIntegrations: Batcher<UUID, WebhookSource?>
  /// Whether an integration of GitHub, or of GitLab, has a secret of its own. Concurrent requests share one look-up.
  let hasOwnGitHubSecret: Remembered<Bool>
  let hasOwnGitLabSecret: Remembered<Bool>

  /// - Parameter canOpen: whether the secrets that integrations have of their own can be opened here.
  init(store: ReviewStore, canOpen: Bool) {
    ofInstallations = Self.batched { try await store.webhookSources(installations: $0) }
    ofIntegrations = Self.batched { try await store.webhookSources(integrations: $0) }
    // Not kept: a secret that was just stored counts at once.
    hasOwnGitHubSecret = Remembered(for: .zero) { canOpen ? try await store.hasOwnWebhookSecret(.github) : false }
    hasOwnGitLabSecret = Remembered(for: .zero) { canOpen ? try await store.hasOwnWebhookSecret(.gitlab) : false }
  }

  private static func batched<Key: Hashable & Sendable>(
    _ find: @escaping @Sendable ([Key]) async throws -> [Key: WebhookSource]
  ) -> Batcher<Key, WebhookSource?> {
    Batcher(maxBatch: 256) { keys in
      do {
        let sources = try await find(keys)
        return keys.map { .success(sources[$0]) }
      } catch {
        return keys.map { _ in .failure(error) }
      }
    }
  }
}
