internal import Crypto
internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Primitives

/// The signature that GitLab gives a webhook with a signing token, as Standard Webhooks has it: `v1,` and the HMAC (SHA-256, base64) of id, time
/// and body with periods between.
struct WebhookSignature: Sendable {
  /// So far the time of a signature may be from the database's, in seconds.
  private static let ageMax: Int64 = 300

  private let id: String
  private let timestamp: String
  private let codes: [[UInt8]]

  /// nil if the request has none.
  init?(_ headers: HTTPFields) {
    guard let id = headers[.webhookID], let timestamp = headers[.webhookTimestamp],
      let signatures = headers[.webhookSignature]
    else { return nil }
    self.id = id
    self.timestamp = timestamp
    // Several while a signing token is replaced by another.
    codes = signatures.split(separator: " ").prefix(8).compactMap { signature in
      signature.hasPrefix("v1,") ? Data(base64Encoded: String(signature.dropFirst(3))).map { Array($0) } : nil
    }
  }

  /// - Throws: `HTTPFault` 401 unless one of the secrets has signed the body, just now.
  func check(_ body: Data, with secrets: SecretList, now: Timestamp) throws(HTTPFault) {
    try check(body, with: secrets)
    try checkTime(now: now)
  }

  /// - Throws: `HTTPFault` 401 unless the time that was signed is the present one.
  func checkTime(now: Timestamp) throws(HTTPFault) {
    let present = now.microseconds / 1_000_000
    guard let seconds = Int64(timestamp), (present - Self.ageMax...present + Self.ageMax).contains(seconds) else {
      throw HTTPFault(.unauthorized, "webhook-timestamp is not the present time: check the clocks")
    }
  }

  /// - Throws: `HTTPFault` 401 unless one of the secrets has signed the body, at whatever time.
  func check(_ body: Data, with secrets: SecretList) throws(HTTPFault) {
    let signed = Data("\(id).\(timestamp).".utf8) + body
    let isSigned = secrets.all.contains { secret in
      let key = SymmetricKey(data: Self.key(secret))
      return codes.contains { HMAC<SHA256>.isValidAuthenticationCode($0, authenticating: signed, using: key) }
    }
    guard isSigned else { throw HTTPFault(.unauthorized, "webhook-signature is not the signature of this body") }
  }

  /// A signing token is base64 behind `whsec_`; any other text is a key as it is.
  static func key(_ secret: Secret) -> Data {
    let text = secret.reveal()
    let prefix = "whsec_"
    guard text.hasPrefix(prefix), let key = Data(base64Encoded: String(text.dropFirst(prefix.count))) else {
      return Data(text.utf8)
    }
    return key
  }
}

extension HTTPField.Name {
  static let webhookID = HTTPField.Name(known: "webhook-id")
  static let webhookTimestamp = HTTPField.Name(known: "webhook-timestamp")
  static let webhookSignature = HTTPField.Name(known: "webhook-signature")
}
