import Testing

@testable import Primitives

@Suite("Encodings of bytes as text")
struct EncodingTests {
  @Test(
    "base64url is written without padding, and only that form is read",
    arguments: [([], ""), ([0xFB, 0xFF], "-_8"), ([1, 2, 3], "AQID")] as [([UInt8], String)])
  func base64URL(bytes: [UInt8], text: String) {
    #expect(Base64URL.encode(bytes) == text)
    #expect(Base64URL.decode(text) == bytes)
  }

  @Test("another spelling of the same bytes is not read", arguments: ["-_8=", "+/8", "-_9", "A", "AQ ID", "ä"])
  func otherSpellings(text: String) { #expect(Base64URL.decode(text) == nil) }

  @Test("everything but unreserved characters is percent-encoded, byte by byte")
  func percent() {
    #expect("a-Z_0.9~".percentEncoded == "a-Z_0.9~")
    #expect("a/b c+ä\n".percentEncoded == "a%2Fb%20c%2B%C3%A4%0A")
  }
}
