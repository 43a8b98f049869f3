internal import FoundationEssentials
internal import Platforms
internal import ReviewStore

/// The integrations' tokens in Postgres, as the platforms renew them.
struct StoredIntegrationTokens: IntegrationTokenStore {
  let store: ReviewStore

  func changeTokens(
    of integration: UUID, _ body: @escaping @Sendable (StoredTokens) async throws -> StoredTokens?
  ) async throws -> StoredTokens? {
    let result = Box()
    let exists = try await store.changeIntegrationTokens(of: integration) { row in
      let present = StoredTokens(
        own: row.tokenCiphertext, metadata: row.metadata,
        format: TokenCipher.Format(rawValue: row.sealFormat) ?? .keyed)
      let changed = try await body(present)
      await result.set(changed ?? present)
      guard let changed else { return nil }
      return NewIntegrationTokens(tokenCiphertext: changed.own, projectTokens: try changed.projectTokensJSON())
    }
    return exists ? await result.tokens : nil
  }

  /// Carries what the body gave out of the transaction.
  private actor Box {
    private(set) var tokens: StoredTokens?

    func set(_ tokens: StoredTokens) { self.tokens = tokens }
  }
}
