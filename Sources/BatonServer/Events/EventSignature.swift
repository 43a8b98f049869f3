internal import Crypto
package import FoundationEssentials
package import Primitives

/// How an event is signed: as Standard Webhooks has it (`v1,` and HMAC-SHA-256 in base64 over id, time and body), once with each secret, so that
/// the receiver may know the old one or the new one.
package enum EventSignature {
  /// The fewest bytes of a secret.
  package static let secretByteCountMin = 24

  /// The headers of one request.
  /// - Parameters:
  ///   - id: the event's.
  ///   - seconds: the time of sending, since 1970.
  ///   - body: the bytes as they are sent.
  ///   - secrets: of the endpoint; each signs.
  package static func headers(
    _ id: UUID, at seconds: Int64, body: [UInt8], _ secrets: SecretList
  ) -> [(name: String, value: String)] {
    let signed = Data("\(id.lowercase).\(seconds).".utf8) + body
    let codes = secrets.all.map { secret in
      let code = HMAC<SHA256>.authenticationCode(
        for: signed, using: SymmetricKey(data: WebhookSignature.key(secret)))
      return "v1," + Data(code).base64EncodedString()
    }
    return [
      ("webhook-id", id.lowercase), ("webhook-timestamp", "\(seconds)"),
      ("webhook-signature", codes.joined(separator: " ")),
      ("webhook-key-id", secrets.all.map(keyID).joined(separator: " ")),
    ]
  }

  /// A secret's name, which shows nothing of it: the start of a hash.
  package static func keyID(_ secret: Secret) -> String {
    Array(SHA256.hash(data: Data("baton event key id v1".utf8) + WebhookSignature.key(secret)).prefix(8)).hexadecimal
  }

  /// The names of the secrets of a text `new,old`, in their order.
  package static func keyIDs(_ text: Secret) -> [String] { (secrets(text)?.all ?? []).map(keyID) }

  /// A new secret: 32 random bytes.
  package static func newSecret() -> Secret {
    Secret("whsec_" + Data((0..<32).map { _ in UInt8.random(in: .min ... .max) }).base64EncodedString())
  }

  /// The secrets of a text `new,old`.
  /// - Returns: nil if one of them is too short to sign with.
  package static func secrets(_ text: Secret) -> SecretList? {
    guard let list = SecretList(separated: text.reveal()) else { return nil }
    return list.all.allSatisfy { WebhookSignature.key($0).count >= secretByteCountMin } ? list : nil
  }
}
