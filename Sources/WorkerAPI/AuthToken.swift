internal import Crypto
package import FoundationEssentials
internal import Primitives
internal import Reviews

/// The key that signs the tokens of status callbacks, derived from the encryption key so that neither gives the other away.
package struct AuthKey: Sendable, CustomStringConvertible, CustomReflectable {
  fileprivate let key: SymmetricKey

  /// Derives the key (HKDF-SHA256, RFC 5869).
  /// - Parameter encryptionKey: the 32 bytes of `BATON_ENCRYPTION_KEY`.
  package init(encryptionKey: [UInt8]) {
    key = HKDF<SHA256>.deriveKey(
      inputKeyMaterial: SymmetricKey(data: encryptionKey), info: Data("baton status callback v1".utf8),
      outputByteCount: 32)
  }

  package var description: String { "***" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// The bearer token of a status callback: a JWT (RFC 7519, HS256) for one attempt of one review, valid for 24 hours.
package enum AuthToken {
  /// From signing to expiry.
  package static let lifetime: Duration = .seconds(86_400)

  /// The first part of every token: `{"alg":"HS256","typ":"JWT"}`. No other algorithm is ever accepted.
  private static let header = Base64URL.encode(Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8))
  /// No token of ours comes near this; a longer text is not looked at.
  private static let byteCountMax = 1_024

  private struct Claims: Decodable {
    var sub: UUID
    var attempt: Int
    var exp: Int64
  }

  /// Signs a token.
  /// - Parameters:
  ///   - reviewID: the review that the worker may report about.
  ///   - attempt: the one that is started.
  ///   - now: the time of issue, from this process's clock.
  ///   - key: derived from the current encryption key.
  package static func sign(reviewID: UUID, attempt: Int, now: Date, key: AuthKey) -> String {
    let issued = Int64(now.timeIntervalSince1970)
    let expires = issued + lifetime.components.seconds
    let claims = #"{"sub":"\#(reviewID.lowercase)","attempt":\#(attempt),"iat":\#(issued),"exp":\#(expires)}"#
    let signed = header + "." + Base64URL.encode(Array(claims.utf8))
    let code = HMAC<SHA256>.authenticationCode(for: Array(signed.utf8), using: key.key)
    return signed + "." + Base64URL.encode(Array(code))
  }

  /// The review and the attempt that a token is for; nil if it was signed with none of these keys, or has expired.
  /// The signature is compared in constant time, and before anything else is read.
  /// - Parameters:
  ///   - token: from outside.
  ///   - keys: of all encryption keys, the former ones too: a run outlives the exchange of a key.
  ///   - now: from this process's clock.
  package static func verify(_ token: String, keys: [AuthKey], now: Date) -> (UUID, Int)? {
    guard token.utf8.count <= byteCountMax else { return nil }
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == header, let code = Base64URL.decode(parts[2]),
      isSigned(Array("\(parts[0]).\(parts[1])".utf8), code, keys),
      let json = Base64URL.decode(parts[1]),
      let claims = try? JSONCoding.decode(Claims.self, from: json),
      now.timeIntervalSince1970 < Double(claims.exp)
    else { return nil }
    return (claims.sub, claims.attempt)
  }

  private static func isSigned(_ text: [UInt8], _ code: [UInt8], _ keys: [AuthKey]) -> Bool {
    keys.contains { HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: text, using: $0.key) }
  }
}
