internal import Reviews

extension TokenCipher {
  /// The token that an integration stores.
  func openToken(_ ciphertext: [UInt8], of integration: Integration) throws(PreparationError) -> Secret {
    do {
      return try open(ciphertext, for: integration.id)
    } catch {
      throw .permanent(
        .platformRefused,
        message: "The token of integration \(integration.id.lowercase) does not open with BATON_ENCRYPTION_KEY: "
          + "set the key that it was stored with, or store the token again with `baton integration add`.")
    }
  }
}
