internal import Crypto
package import FoundationEssentials
package import Reviews

/// Encrypts the tokens and hook secrets of `platform_integrations`: AES-256-GCM, as nonce (12 bytes), ciphertext, tag (16).
///
/// The integration's id is authenticated along, so that a ciphertext that was copied to another row does not open there.
package struct TokenCipher: Sendable, CustomStringConvertible, CustomReflectable {
  /// The length of the key, in bytes.
  package static let keyByteCount = 32

  /// A ciphertext that does not open: another key, another row, or changed bytes; which one cannot be told.
  package struct Fault: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String { "the ciphertext does not open with this key for this integration" }
  }

  private let key: SymmetricKey

  /// - Parameter key: the bytes of `BATON_ENCRYPTION_KEY`; ``keyByteCount`` of them.
  package init(key: [UInt8]) {
    precondition(
      key.count == Self.keyByteCount, "the encryption key has \(key.count) bytes instead of \(Self.keyByteCount)")
    self.key = SymmetricKey(data: key)
  }

  /// Encrypts under a fresh random nonce: the same token gives other bytes each time.
  package func seal(_ secret: Secret, for integration: UUID) throws(Fault) -> [UInt8] {
    do {
      let box = try AES.GCM.seal(
        Array(secret.reveal().utf8), using: key, authenticating: Self.associatedData(integration))
      guard let combined = box.combined else { throw Fault() }
      return Array(combined)
    } catch {
      throw Fault()
    }
  }

  /// Decrypts.
  package func open(_ ciphertext: [UInt8], for integration: UUID) throws(Fault) -> Secret {
    do {
      let box = try AES.GCM.SealedBox(combined: ciphertext)
      let text = try AES.GCM.open(box, using: key, authenticating: Self.associatedData(integration))
      return Secret(String(decoding: text, as: UTF8.self))
    } catch {
      throw Fault()
    }
  }

  /// The id's canonical text in lower case, as Postgres prints it.
  private static func associatedData(_ integration: UUID) -> [UInt8] { Array(integration.lowercase.utf8) }

  package var description: String { "***" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
