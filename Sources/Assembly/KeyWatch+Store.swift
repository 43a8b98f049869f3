package import Dispatching
package import Platforms
package import ReviewStore

extension KeyWatch {
  /// How many integrations a look reads at most.
  private static let rowCountMax = 1_000

  /// Looks at what integrations store: the key is wrong if there is something, and nothing of it opens.
  package convenience init(_ store: ReviewStore, _ cipher: TokenCipher) {
    self.init {
      let rows = try await store.sealedSecrets(limit: Self.rowCountMax, withRevoked: false)
      let opens = rows.compactMap {
        cipher.opensAny(
          of: $0.integration, token: $0.token, webhookSecret: $0.webhookSecret, metadata: $0.metadata)
      }
      guard !opens.isEmpty, !opens.contains(true) else { return nil }
      return
        "BATON_ENCRYPTION_KEY (key \(cipher.currentKeyID)) opens none of the secrets that integrations store: set the key they were "
        + "stored with; if it is lost, store them again with `baton integration add`"
    }
  }
}
