internal import Crypto
internal import CryptoExtras
internal import FoundationEssentials
package import Primitives
internal import Reviews

/// A GitHub App's identity: its id, and the key that signs for it.
package struct GitHubApp: Sendable, CustomStringConvertible, CustomReflectable {
  /// Why a private key cannot be used. Nothing of the key is quoted.
  package struct KeyFault: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String {
      "the GitHub private key is not an RSA key of at least 2048 bits in PEM form (PKCS#1 or PKCS#8, not encrypted)"
    }
  }

  /// The app's number or its client id, as `BATON_GITHUB_APP_ID` says.
  package let id: String
  private let key: _RSA.Signing.PrivateKey

  /// A key of its own, for an app that is only played.
  /// - Throws: if no key can be made.
  package static func randomKey() throws -> Secret {
    Secret(try _RSA.Signing.PrivateKey(keySize: .bits2048).pemRepresentation)
  }

  /// - Parameters:
  ///   - id: the app's number or client id.
  ///   - privateKey: the PEM text that GitHub gave out (PKCS#1), or the same key as PKCS#8; see `PEMText`.
  package init(id: String, privateKey: Secret) throws(KeyFault) {
    self.id = id
    do {
      key = try _RSA.Signing.PrivateKey(pemRepresentation: PEMText.normalized(privateKey.reveal()))
    } catch {
      throw KeyFault()
    }
  }

  /// The app's own token, which only asks for installation tokens: a JWT, RS256.
  ///
  /// Issued a minute in the past against clocks that differ, and valid for nine minutes of the ten that GitHub allows
  /// (docs.github.com, "Generating a JSON Web Token (JWT) for a GitHub App").
  func token(now: Date) throws(KeyFault) -> Secret {
    let seconds = Int64(now.timeIntervalSince1970)
    let claims = Claims(iat: seconds - 60, exp: seconds + 9 * 60, iss: id)
    do {
      let payload = try JSONEncoder().encode(claims)
      let signed = Base64URL.encode(Data(#"{"alg":"RS256","typ":"JWT"}"#.utf8)) + "." + Base64URL.encode(payload)
      let signature = try key.signature(for: SHA256.hash(data: Data(signed.utf8)), padding: .insecurePKCS1v1_5)
      return Secret(signed + "." + Base64URL.encode(signature.rawRepresentation))
    } catch {
      throw KeyFault()
    }
  }

  private struct Claims: Encodable {
    var iat: Int64
    var exp: Int64
    var iss: String
  }

  package var description: String { "GitHub App \(id)" }
  package var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}
