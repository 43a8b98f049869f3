import Crypto
import FoundationEssentials
import Primitives
import Reviews
import Testing
import WorkerAPI

private let key = AuthKey(encryptionKey: Array(0..<32))
private let now = Date(timeIntervalSince1970: 1_790_000_000)
private let id = UUID()

@Suite("Callback token")
struct AuthTokenTests {
  @Test("a token names the review and the attempt that it was signed for")
  func roundTrip() throws {
    let token = AuthToken.sign(reviewID: id, attempt: 4, now: now, key: key)
    let claims = try #require(AuthToken.verify(token, keys: [key], now: now))
    #expect(claims == (id, 4))
  }

  @Test("a token ends after 24 hours")
  func expires() {
    let token = AuthToken.sign(reviewID: id, attempt: 1, now: now, key: key)
    #expect(AuthToken.verify(token, keys: [key], now: now.addingTimeInterval(86_399)) != nil)
    #expect(AuthToken.verify(token, keys: [key], now: now.addingTimeInterval(86_400)) == nil)
  }

  @Test("another key's token is refused")
  func otherKey() {
    let token = AuthToken.sign(reviewID: id, attempt: 1, now: now, key: AuthKey(encryptionKey: Array(1..<33)))
    #expect(AuthToken.verify(token, keys: [key], now: now) == nil)
  }

  @Test("no character of a token can be changed")
  func tampering() {
    let token = Array(AuthToken.sign(reviewID: id, attempt: 1, now: now, key: key).utf8)
    for index in token.indices {
      for replacement in [UInt8(ascii: "A"), UInt8(ascii: "b"), UInt8(ascii: "."), UInt8(ascii: "=")]
      where token[index] != replacement {
        var other = token
        other[index] = replacement
        #expect(AuthToken.verify(String(decoding: other, as: UTF8.self), keys: [key], now: now) == nil)
      }
    }
  }

  @Test(
    "what is no token is refused",
    arguments: ["", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", String(repeating: "a", count: 100_000), "ü.ü.ü"])
  func rubbish(text: String) {
    #expect(AuthToken.verify(text, keys: [key], now: now) == nil)
  }

  @Test("the token is a JWT that other libraries read")
  func isJWT() throws {
    let parts = AuthToken.sign(reviewID: id, attempt: 9, now: now, key: key).split(separator: ".").map(String.init)
    func decode(_ text: String) throws -> JSONValue {
      var base64 = text.replacing("-", with: "+").replacing("_", with: "/")
      while base64.count % 4 != 0 { base64 += "=" }
      return try JSONDecoder().decode(JSONValue.self, from: #require(Data(base64Encoded: base64)))
    }
    #expect(try decode(parts[0]) == .object(["alg": .string("HS256"), "typ": .string("JWT")]))
    #expect(
      try decode(parts[1])
        == .object([
          "sub": .string(id.lowercase), "attempt": .integer(9), "iat": .integer(1_790_000_000),
          "exp": .integer(1_790_086_400),
        ]))
  }

  @Test("the signing key is not the encryption key")
  func keyIsDerived() {
    let token = AuthToken.sign(reviewID: id, attempt: 1, now: now, key: key)
    let signed = token[..<(token.lastIndex(of: ".") ?? token.endIndex)]
    let direct = HMAC<SHA256>.authenticationCode(
      for: Array(signed.utf8), using: SymmetricKey(data: Array<UInt8>(0..<32)))
    let text = Data(direct).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").prefix(43)
    #expect(!token.hasSuffix(text))
    #expect("\(key)" == "***")
  }
}
