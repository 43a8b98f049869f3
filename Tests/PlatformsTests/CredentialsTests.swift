import Crypto
import CryptoExtras
import Foundation
import Primitives
import Reviews
import Testing

@testable import Platforms

@Suite("Token cipher")
struct TokenCipherTests {
  private static let otherKey = [UInt8](repeating: 7, count: 32)
  private let cipher = TokenCipher(key: Samples.key)
  private let place = SealedPlace.token(of: Samples.integrationID)

  @Test("a sealed token opens in its own place, and looks different each time", arguments: TokenCipher.Format.allCases)
  func roundTrip(format: TokenCipher.Format) throws {
    let sealed = try cipher.seal(Secret("glpat-ä"), in: place, format: format)
    #expect(try cipher.open(sealed, in: place) == Secret("glpat-ä"))
    #expect(try cipher.seal(Secret("glpat-ä"), in: place, format: format) != sealed)
    #expect(sealed.count == (format == .keyed ? 12 : 0) + 12 + "glpat-ä".utf8.count + 16)
  }

  @Test("a ciphertext that was copied to another row, column or project is damage there, and opens nowhere else")
  func places() throws {
    let id = Samples.integrationID
    let places: [SealedPlace] = [
      .token(of: id), .webhookSecret(of: id), .projectToken("1", of: id), .projectToken("12", of: id),
      .token(of: UUID()),
    ]
    for own in places {
      let sealed = try cipher.seal(Secret("t"), in: own)
      for other in places {
        if other == own {
          #expect(try cipher.open(sealed, in: other) == Secret("t"))
        } else {
          #expect(throws: TokenCipher.Fault.damaged) { try cipher.open(sealed, in: other) }
        }
      }
    }
  }

  @Test("a missing key is distinguished from a changed byte: the first is the operator's fault, the second the row's")
  func faults() throws {
    let sealed = try cipher.seal(Secret("t"), in: place)
    let other = TokenCipher(key: Self.otherKey)
    #expect(throws: TokenCipher.Fault.keyMissing(cipher.currentKeyID)) { try other.open(sealed, in: place) }
    for index in sealed.indices {
      var changed = sealed
      changed[index] ^= 1
      let fault = #expect(throws: TokenCipher.Fault.self) { try cipher.open(changed, in: place) }
      // Mark and key id are the first twelve bytes.
      #expect(index < 12 || fault == .damaged, "byte \(index): \(fault as Any)")
    }
    for count in 0..<sealed.count {
      #expect(throws: TokenCipher.Fault.self) { try cipher.open(Array(sealed.prefix(count)), in: place) }
    }
  }

  @Test("a former ciphertext does not open for another integration, with another key, or with a changed byte")
  func former() throws {
    let sealed = try cipher.seal(Secret("t"), for: Samples.integrationID)
    #expect(throws: TokenCipher.Fault.self) { try cipher.open(sealed, in: .token(of: UUID())) }
    #expect(throws: TokenCipher.Fault.keyMissing(nil)) {
      try TokenCipher(key: Self.otherKey).open(sealed, in: place)
    }
    for index in sealed.indices {
      var changed = sealed
      changed[index] ^= 1
      #expect(throws: TokenCipher.Fault.self) { try cipher.open(changed, in: place) }
    }
    for count in 0..<28 {
      #expect(throws: TokenCipher.Fault.self) { try cipher.open(Array(sealed.prefix(count)), in: place) }
    }
  }

  @Test("with a list of keys the first seals and each opens", arguments: TokenCipher.Format.allCases)
  func list(format: TokenCipher.Format) throws {
    let both = TokenCipher(keys: [Self.otherKey, Samples.key])
    let old = try cipher.seal(Secret("t"), in: place, format: format)
    #expect(try both.open(old, in: place) == Secret("t"))
    let new = try both.seal(Secret("t"), in: place, format: format)
    #expect(try TokenCipher(key: Self.otherKey).open(new, in: place) == Secret("t"))
    #expect(throws: TokenCipher.Fault.self) { try cipher.open(new, in: place) }
  }

  @Test("sealing again changes every secret once, says what does not open, and leaves that as it is")
  func reseal() throws {
    let id = Samples.integrationID
    let both = TokenCipher(keys: [Self.otherKey, Samples.key])
    var tokens = StoredTokens(own: nil, metadata: nil)
    tokens.ofProjects["7"] = .init(id: 1, expiresAt: nil, ciphertext: try cipher.seal(Secret("p"), for: id))
    let lost = try TokenCipher(key: [UInt8](repeating: 9, count: 32)).seal(Secret("x"), in: .webhookSecret(of: id))
    let first = both.reseal(
      id, token: try cipher.seal(Secret("t"), for: id), webhookSecret: lost,
      metadata: #"{"project_tokens":\#(try tokens.projectTokensJSON())}"#, format: .keyed)
    #expect(first.resealedCount == 2 && first.currentCount == 0 && first.webhookSecret == lost)
    #expect(first.faults.count == 1 && first.faults[0].hasPrefix("webhook_secret_ciphertext: "))
    let new = TokenCipher(key: Self.otherKey)
    #expect(try new.open(try #require(first.token), in: .token(of: id)) == Secret("t"))
    let metadata = #"{"project_tokens":\#(try #require(first.projectTokensJSON))}"#
    let kept = try #require(StoredTokens(own: nil, metadata: metadata).ofProjects["7"])
    #expect(try new.open(kept.ciphertext, in: .projectToken("7", of: id)) == Secret("p") && kept.id == 1)
    let second = both.reseal(id, token: first.token, webhookSecret: nil, metadata: metadata, format: .keyed)
    #expect(second.resealedCount == 0 && second.currentCount == 2 && second.token == first.token)
    #expect(second.projectTokensJSON == nil)
  }

  @Test("nothing of the key shows")
  func hidden() {
    var dumped = ""
    dump(cipher, to: &dumped)
    #expect("\(cipher)" == "***" && !dumped.contains("SymmetricKey"))
  }
}

@Suite("GitHub App")
struct GitHubAppTests {

  @Test("a key works as PKCS#1 and as PKCS#8, and signs RS256", arguments: [false, true])
  func signs(_ isPKCS8: Bool) throws {
    let pem = isPKCS8 ? AppKey.sample.pkcs8PEMRepresentation : AppKey.sample.pemRepresentation
    #expect(pem.hasPrefix(isPKCS8 ? "-----BEGIN PRIVATE KEY" : "-----BEGIN RSA PRIVATE KEY"))
    let app = try GitHubApp(id: "12345", privateKey: Secret(pem))
    let parts = try app.token(now: Date(timeIntervalSince1970: 1_700_000_000)).reveal().split(separator: ".")
    #expect(parts.count == 3)
    let header = try #require(Self.json(parts[0]))
    #expect(header["alg"] as? String == "RS256" && header["typ"] as? String == "JWT")
    let claims = try #require(Self.json(parts[1]))
    #expect(claims["iss"] as? String == "12345")
    #expect(claims["iat"] as? Int == 1_699_999_940 && claims["exp"] as? Int == 1_700_000_540)
    let signature = _RSA.Signing.RSASignature(rawRepresentation: try #require(Self.bytes(parts[2])))
    let digest = SHA256.hash(data: Data("\(parts[0]).\(parts[1])".utf8))
    #expect(AppKey.sample.publicKey.isValidSignature(signature, for: digest, padding: .insecurePKCS1v1_5))
  }

  @Test(
    "what is no RSA key is refused without quoting it",
    arguments: ["", "secret words", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"])
  func refused(_ pem: String) {
    let fault = #expect(throws: GitHubApp.KeyFault.self) { try GitHubApp(id: "1", privateKey: Secret(pem)) }
    #expect(fault.map { "\($0)".contains("secret words") } == false)
  }

  @Test("nothing of the key shows")
  func hidden() throws {
    let app = try GitHubApp(id: "12345", privateKey: Secret(AppKey.sample.pemRepresentation))
    var dumped = ""
    dump(app, to: &dumped)
    #expect(!dumped.contains("PRIVATE") && !dumped.contains("backing") && "\(app)" == "GitHub App 12345")
  }

  private static func bytes(_ base64URL: Substring) -> Data? {
    var text = base64URL.replacing("-", with: "+").replacing("_", with: "/")
    while text.count % 4 != 0 { text += "=" }
    return Data(base64Encoded: String(text))
  }

  private static func json(_ part: Substring) -> [String: Any]? {
    bytes(part).flatMap { try? JSONSerialization.jsonObject(with: $0) as? [String: Any] }
  }
}

@Suite("Settings of the platforms")
struct PlatformSettingsTests {
  @Test("all faults are named at once, and none shows a secret")
  func faults() {
    let settings = PlatformSettings(
      githubAPIURL: "ftp://x", githubAppID: "1", githubPrivateKey: Secret("hush"), encryptionKeys: [[1, 2]])
    let faults = #expect(throws: PlatformSettings.Faults.self) { _ = try settings.checked() }
    #expect(faults?.faults.count == 3)
    #expect(faults.map { "\($0)".contains("hush") } == false)
    let half = #expect(throws: PlatformSettings.Faults.self) {
      _ = try PlatformSettings(githubAppID: "1", encryptionKeys: [Samples.key]).checked()
    }
    #expect(half?.faults.first?.hasPrefix("BATON_GITHUB_PRIVATE_KEY") == true)
  }
}
