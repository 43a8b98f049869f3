internal import Crypto
internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
package import Platforms
package import Primitives
internal import ReviewStore
internal import Reviews
internal import WorkerAPI

/// What webhooks are recognised by.
package struct WebhookSecrets: Sendable {
  /// `BATON_GITHUB_WEBHOOK_SECRET`.
  package var github: SecretList?
  /// `BATON_GITLAB_WEBHOOK_SECRET`.
  package var gitlab: SecretList?
  /// Opens the secrets that integrations have of their own; nil without `BATON_ENCRYPTION_KEY`.
  package var cipher: TokenCipher?

  package init(github: SecretList? = nil, gitlab: SecretList? = nil, cipher: TokenCipher? = nil) {
    self.github = github
    self.gitlab = gitlab
    self.cipher = cipher
  }

  /// The code of the header `X-Hub-Signature-256`: what cannot be GitHub's signature of anything is refused before the body is read.
  /// - Throws: `HTTPFault` 401.
  func code(ofGitHub signature: String?) throws(HTTPFault) -> [UInt8] {
    guard let code = signature.flatMap(Self.code) else { throw Self.wrongSignature }
    return code
  }

  /// Whether the code is the common secret's of the body. What that is worth depends on the integration.
  func isCommon(_ code: [UInt8], of body: Data) -> Bool {
    github.map { Self.isCode(code, of: body, with: $0) } ?? false
  }

  /// Checks the code of a body.
  /// - Parameters:
  ///   - isCommon: as ``isCommon(_:of:)`` says.
  ///   - source: the integration that the body names; what it says counts only once the signature is right.
  /// - Throws: `HTTPFault`: 503 if there is nothing to compare with, 401 if the signature is wrong.
  func checkGitHub(_ code: [UInt8], of body: Data, isCommon: Bool, from source: WebhookSource?) throws(HTTPFault) {
    if let own = try ownSecret(of: source) {
      guard Self.isCode(code, of: body, with: own) else { throw Self.wrongSignature }
    } else {
      guard github != nil else { throw Self.isOff("BATON_GITHUB_WEBHOOK_SECRET") }
      guard isCommon else { throw Self.wrongSignature }
    }
  }

  static let wrongSignature = HTTPFault(.unauthorized, "X-Hub-Signature-256 is not the signature of this body")

  /// Over the bytes as they came; compared in constant time.
  private static func isCode(_ code: [UInt8], of body: Data, with secrets: SecretList) -> Bool {
    secrets.all.contains { secret in
      HMAC<SHA256>.isValidAuthenticationCode(
        code, authenticating: body, using: SymmetricKey(data: Data(secret.reveal().utf8)))
    }
  }

  /// What GitLab's webhooks of an integration are recognised by: secret tokens, or signing tokens.
  /// - Throws: as ``checkGitHub(_:of:isCommon:from:)``.
  func gitlab(of source: WebhookSource) throws(HTTPFault) -> SecretList {
    try secrets(gitlab, of: source, setting: "BATON_GITLAB_WEBHOOK_SECRET")
  }

  /// Checks GitLab's secret token.
  /// - Parameter token: the header `X-Gitlab-Token`.
  /// - Throws: `HTTPFault` 401.
  static func checkGitLab(_ token: String?, with secrets: SecretList) throws(HTTPFault) {
    guard let token, ConstantTime.matches(token, secrets) else {
      throw HTTPFault(.unauthorized, "X-Gitlab-Token is not the token of this webhook")
    }
  }

  private func secrets(_ common: SecretList?, of source: WebhookSource?, setting: String) throws(HTTPFault)
    -> SecretList
  {
    if let own = try ownSecret(of: source) { return own }
    guard let common else { throw Self.isOff(setting) }
    return common
  }

  /// An integration's own secret wins over the setting: it was put there so that no other counts.
  private func ownSecret(of source: WebhookSource?) throws(HTTPFault) -> SecretList? {
    guard let source, let ciphertext = source.secretCiphertext else { return nil }
    guard let cipher, let text = try? cipher.open(ciphertext, in: .webhookSecret(of: source.integrationID)),
      let own = SecretList(separated: text.reveal())
    else {
      throw .unavailable("this webhook's own secret does not open: set the BATON_ENCRYPTION_KEY it was stored with")
    }
    return own
  }

  static func isOff(_ setting: String) -> HTTPFault {
    .unavailable("this webhook is off: set \(setting), or give the integration a secret of its own")
  }

  /// The 32 bytes of `sha256=<hex>`.
  private static func code(_ signature: String) -> [UInt8]? {
    let prefix = "sha256="
    guard signature.hasPrefix(prefix) else { return nil }
    let digits = Array(signature.utf8.dropFirst(prefix.utf8.count))
    guard digits.count == 2 * SHA256.byteCount else { return nil }
    var code: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let high = digits[index].hexadecimalValue, let low = digits[index + 1].hexadecimalValue else { return nil }
      code.append(high << 4 | low)
    }
    return code
  }
}

extension UInt8 {
  fileprivate var hexadecimalValue: UInt8? {
    switch self {
    case 48...57: self - 48
    case 65...70: self - 55
    case 97...102: self - 87
    default: nil
    }
  }
}
