internal import Crypto
internal import FoundationEssentials
internal import HTTPTypes
package import Platforms
internal import ReviewStore
package import Reviews

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

  /// Checks GitHub's signature of the body as it came.
  /// - Parameters:
  ///   - signature: the header `X-Hub-Signature-256`.
  ///   - source: the integration that the body names; what it says counts only once the signature is right.
  /// - Throws: `HTTPFault`: 503 where there is nothing to compare with, 401 where the signature is wrong.
  func checkGitHub(_ signature: String?, of body: Data, from source: WebhookSource?) throws(HTTPFault) {
    let secrets = try secrets(github, of: source, setting: "BATON_GITHUB_WEBHOOK_SECRET")
    guard let signature, let code = Self.code(signature),
      secrets.all.contains(where: { secret in
        HMAC<SHA256>.isValidAuthenticationCode(
          code, authenticating: body, using: SymmetricKey(data: Data(secret.reveal().utf8)))
      })
    else { throw Self.wrongSignature }
  }

  /// Refuses what cannot be GitHub's signature of anything, before the body is read.
  /// - Throws: `HTTPFault` 401.
  func checkForm(ofGitHub signature: String?) throws(HTTPFault) {
    // Without a common secret it depends on the body what the signature is compared with, and whether there is anything.
    guard github != nil, signature.flatMap(Self.code) == nil else { return }
    throw Self.wrongSignature
  }

  private static let wrongSignature = HTTPFault(
    .unauthorized, "X-Hub-Signature-256 is not the signature of this body")

  /// Checks GitLab's token.
  /// - Parameter token: the header `X-Gitlab-Token`.
  /// - Throws: as ``checkGitHub(_:of:from:)``.
  func checkGitLab(_ token: String?, from source: WebhookSource) throws(HTTPFault) {
    let secrets = try secrets(gitlab, of: source, setting: "BATON_GITLAB_WEBHOOK_SECRET")
    guard let token, ConstantTime.matches(token, secrets) else {
      throw HTTPFault(.unauthorized, "X-Gitlab-Token is not the token of this webhook")
    }
  }

  /// An integration's own secret wins over the setting: somebody has put it there so that no other counts.
  private func secrets(_ common: SecretList?, of source: WebhookSource?, setting: String) throws(HTTPFault)
    -> SecretList
  {
    if let source, let ciphertext = source.secretCiphertext {
      guard let cipher, let own = try? cipher.open(ciphertext, in: .webhookSecret(of: source.integrationID)),
        let own = SecretList(separated: own.reveal())
      else {
        throw .unavailable("this webhook's own secret does not open: set the BATON_ENCRYPTION_KEY it was stored with")
      }
      return own
    }
    guard let common else {
      throw .unavailable("this webhook is off: set \(setting), or give the integration a secret of its own")
    }
    return common
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
