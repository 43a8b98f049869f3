internal import Crypto
package import FoundationEssentials
package import Primitives
internal import Reviews

/// Encrypts the tokens and webhook secrets of `platform_integrations` by AES-256-GCM, under the first of the keys of
/// `BATON_ENCRYPTION_KEY`, and decrypts under any of them.
///
/// A ciphertext is `BTN` and the version byte 2, the key's id (8 bytes), the nonce (12), the encrypted text, the tag (16). Head and
/// place are authenticated along. Releases up to schema 19 read and write another form: nonce, text, tag, with the integration's id
/// authenticated along. It is still opened, and written until an operator runs `baton integration reseal`.
///
/// Known weakness: a ciphertext of the former form names neither its key nor its column. Reseal ends that.
package struct TokenCipher: Sendable, CustomStringConvertible, CustomReflectable {
  /// The length of a key, in bytes.
  package static let keyByteCount = 32

  /// How ciphertexts are written; the raw value stands in `baton_sealing`.
  package enum Format: Int, Sendable, CaseIterable {
    case former = 1
    case keyed = 2
  }

  /// Why a ciphertext does not open.
  package enum Fault: Error, Sendable, Equatable, CustomStringConvertible {
    /// None of the keys is the one that it was sealed with: the operator has to give that key. In the former form damage looks the same.
    case keyMissing(KeyID?)
    /// The key is there: the bytes were changed, or belong to another row or column.
    case damaged

    package var description: String {
      switch self {
      case .keyMissing(let id?): "it was sealed with the key \(id), which BATON_ENCRYPTION_KEY does not hold"
      case .keyMissing(nil): "no key of BATON_ENCRYPTION_KEY opens it"
      case .damaged: "its bytes were changed, or it belongs to another row or column"
      }
    }
  }

  /// A key's name, which shows nothing of the key: the start of a hash.
  package struct KeyID: Sendable, Hashable, CustomStringConvertible {
    static let byteCount = 8
    let bytes: [UInt8]

    init(of key: [UInt8]) {
      bytes = Array(SHA256.hash(data: Array("baton encryption key id v1".utf8) + key).prefix(Self.byteCount))
    }

    init(bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

    package var description: String { bytes.hexadecimal }
  }

  private struct Key: Sendable {
    let id: KeyID
    let key: SymmetricKey
  }

  private static let mark: [UInt8] = [0x42, 0x54, 0x4E, 2]
  private static let headByteCount = mark.count + KeyID.byteCount
  /// Nonce and tag.
  private static let formerByteCountMin = 28

  private let keys: [Key]

  /// - Parameter keys: of `BATON_ENCRYPTION_KEY`, the one that seals first; ``keyByteCount`` bytes each.
  package init(keys: [[UInt8]]) {
    precondition(
      !keys.isEmpty && keys.allSatisfy { $0.count == Self.keyByteCount },
      "an encryption key has another length than \(Self.keyByteCount) bytes")
    self.keys = keys.map { Key(id: KeyID(of: $0), key: SymmetricKey(data: $0)) }
  }

  /// With one key.
  package init(key: [UInt8]) { self.init(keys: [key]) }

  /// The id of the key that seals.
  package var currentKeyID: KeyID { keys[0].id }

  /// Whether a ciphertext is sealed with the key that seals now, in this format: nothing would change by sealing it again.
  package func isCurrent(_ ciphertext: [UInt8], format: Format) -> Bool {
    switch format {
    case .keyed: Self.keyID(of: ciphertext) == keys[0].id
    // Nothing shows which key it was.
    case .former: false
    }
  }

  /// The key that a ciphertext names; nil for the former form.
  static func keyID(of ciphertext: [UInt8]) -> KeyID? {
    guard ciphertext.count >= headByteCount + formerByteCountMin, ciphertext.starts(with: mark) else { return nil }
    return KeyID(bytes: ciphertext[mark.count..<headByteCount])
  }

  // MARK: Sealing

  /// Encrypts under a fresh random nonce: the same secret gives other bytes each time.
  package func seal(_ secret: Secret, in place: SealedPlace, format: Format = .keyed) throws(Fault) -> [UInt8] {
    guard format == .keyed else { return try seal(secret, for: place.integration) }
    let head = Self.mark + keys[0].id.bytes
    return head + (try seal(secret, authenticating: head + place.associatedData))
  }

  /// Encrypts in the former form.
  package func seal(_ secret: Secret, for integration: UUID) throws(Fault) -> [UInt8] {
    try seal(secret, authenticating: Self.formerAssociatedData(integration))
  }

  private func seal(_ secret: Secret, authenticating data: [UInt8]) throws(Fault) -> [UInt8] {
    do {
      let box = try AES.GCM.seal(Array(secret.reveal().utf8), using: keys[0].key, authenticating: data)
      guard let combined = box.combined else { throw Fault.damaged }
      return Array(combined)
    } catch {
      throw .damaged
    }
  }

  // MARK: Opening

  /// Decrypts, whatever the form.
  package func open(_ ciphertext: [UInt8], in place: SealedPlace) throws(Fault) -> Secret {
    guard let id = Self.keyID(of: ciphertext) else { return try openFormer(ciphertext, place) }
    guard let key = keys.first(where: { $0.id == id }) else {
      // One former ciphertext of four billion begins like this by chance.
      if let secret = try? openFormer(ciphertext, place) { return secret }
      throw .keyMissing(id)
    }
    let head = Array(ciphertext.prefix(Self.headByteCount))
    let sealed = Array(ciphertext.dropFirst(Self.headByteCount))
    guard let secret = Self.open(sealed, key, head + place.associatedData) else { throw .damaged }
    return secret
  }

  private func openFormer(_ ciphertext: [UInt8], _ place: SealedPlace) throws(Fault) -> Secret {
    guard ciphertext.count >= Self.formerByteCountMin else { throw .damaged }
    let data = Self.formerAssociatedData(place.integration)
    for key in keys {
      if let secret = Self.open(ciphertext, key, data) { return secret }
    }
    throw .keyMissing(nil)
  }

  private static func open(_ sealed: [UInt8], _ key: Key, _ data: [UInt8]) -> Secret? {
    guard let box = try? AES.GCM.SealedBox(combined: sealed),
      let text = try? AES.GCM.open(box, using: key.key, authenticating: data)
    else { return nil }
    return Secret(String(decoding: text, as: UTF8.self))
  }

  /// The id's canonical text in lower case, as Postgres prints it.
  private static func formerAssociatedData(_ integration: UUID) -> [UInt8] { Array(integration.lowercase.utf8) }

  package var description: String { "***" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
