import Crypto
import CryptoExtras
import Foundation
import Reviews
import Testing

@testable import Platforms

@Suite("Token cipher")
struct TokenCipherTests {
  private let cipher = TokenCipher(key: Samples.key)

  @Test("a sealed token opens for its own integration, and looks different each time")
  func roundTrip() throws {
    let sealed = try cipher.seal(Secret("glpat-ä"), for: Samples.integrationID)
    #expect(try cipher.open(sealed, for: Samples.integrationID) == Secret("glpat-ä"))
    #expect(try cipher.seal(Secret("glpat-ä"), for: Samples.integrationID) != sealed)
    #expect(sealed.count == 12 + "glpat-ä".utf8.count + 16)
  }

  @Test("another integration, another key or any changed byte does not open")
  func refused() throws {
    let sealed = try cipher.seal(Secret("t"), for: Samples.integrationID)
    #expect(throws: TokenCipher.Fault.self) { try cipher.open(sealed, for: UUID()) }
    let other = TokenCipher(key: [UInt8](repeating: 7, count: 32))
    #expect(throws: TokenCipher.Fault.self) { try other.open(sealed, for: Samples.integrationID) }
    for index in sealed.indices {
      var changed = sealed
      changed[index] ^= 1
      #expect(throws: TokenCipher.Fault.self) { try cipher.open(changed, for: Samples.integrationID) }
    }
    for count in 0..<28 {
      #expect(throws: TokenCipher.Fault.self) {
        try cipher.open(Array(sealed.prefix(count)), for: Samples.integrationID)
      }
    }
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
  private static let key = try! _RSA.Signing.PrivateKey(keySize: .bits2048)

  @Test("a key works as PKCS#1 and as PKCS#8, and signs RS256", arguments: [false, true])
  func signs(_ isPKCS8: Bool) throws {
    let pem = isPKCS8 ? Self.key.pkcs8PEMRepresentation : Self.key.pemRepresentation
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
    #expect(Self.key.publicKey.isValidSignature(signature, for: digest, padding: .insecurePKCS1v1_5))
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
    let app = try GitHubApp(id: "12345", privateKey: Secret(Self.key.pemRepresentation))
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
      githubAPIURL: "ftp://x", githubAppID: "1", githubPrivateKey: Secret("hush"), encryptionKey: [1, 2])
    let faults = #expect(throws: PlatformSettings.Faults.self) { _ = try settings.checked() }
    #expect(faults?.faults.count == 3)
    #expect(faults.map { "\($0)".contains("hush") } == false)
    let half = #expect(throws: PlatformSettings.Faults.self) {
      _ = try PlatformSettings(githubAppID: "1", encryptionKey: Samples.key).checked()
    }
    #expect(half?.faults.first?.hasPrefix("BATON_GITHUB_PRIVATE_KEY") == true)
  }
}
