import Foundation
import HTTPTypes
import Primitives
import Testing

@testable import BatonServer

@Suite("Events: signature and address")
struct EventTests {
  private let secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
  private let id = UUID(uuidString: "0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11")!
  private let body = Array(#"{"test": 2432232314}"#.utf8)

  @Test("the signature is the one of Standard Webhooks, as openssl computes it, and the key's name shows nothing of it")
  func vector() {
    let headers = EventSignature.headers(id, at: 1_614_265_330, body: body, SecretList(secret))
    #expect(
      headers.map(\.value) == [
        "0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11", "1614265330", "v1,F64r+DdIBxOLerQ/Ul9i570XiajPWZXhhwfAwCPNo7U=",
        "ef632e6ec9a097df",
      ])
  }

  @Test("while a secret is exchanged, a receiver that knows either of the two accepts the event")
  func exchange() throws {
    let list = try #require(EventSignature.secrets(Secret("\(EventSignature.newSecret().reveal()),\(secret.reveal())")))
    let now = Timestamp(microseconds: 1_800_000_000_000_000)
    var fields = HTTPFields()
    for header in EventSignature.headers(id, at: 1_800_000_000, body: body, list) {
      fields[try #require(HTTPField.Name(header.name))] = header.value
    }
    let signature = try #require(WebhookSignature(fields))
    for one in list.all { try signature.check(Data(body), with: SecretList(one), now: now) }
    #expect(
      fields[try #require(HTTPField.Name("webhook-key-id"))]
        == list.all.map(EventSignature.keyID).joined(separator: " "))
    #expect(throws: (any Error).self) {
      try signature.check(Data(body), with: SecretList(EventSignature.newSecret()), now: now)
    }
  }

  @Test("a secret that is too short to sign with is refused", arguments: ["short", "whsec_c2hvcnQ=", ""])
  func shortSecret(text: String) {
    #expect(EventSignature.secrets(Secret(text)) == nil)
    #expect(EventSignature.secrets(Secret("\(secret.reveal()),\(text)")) == nil)
  }

  @Test(
    "events go to the hosts that the setting names, and to no other",
    arguments: [
      ("https://hooks.example.com/x", "https://hooks.example.com/x"),
      ("https://HOOKS.example.com:443", "https://hooks.example.com/"),
      ("https://hooks.example.com:9/x", "https://hooks.example.com:9/x"),
      ("http://ci.example.com:8080/x", "http://ci.example.com:8080/x"), ("http://ci.example.com/x", nil),
      ("https://example.com/x", nil), ("https://hooks.example.com.evil.org/x", nil), ("http://169.254.169.254/x", nil),
      ("http://localhost/x", nil), ("http://[::1]/x", nil),
      ("https://hooks.example.com@evil.org/x", nil), ("https://user:word@hooks.example.com/x", nil),
      ("https://hooks.example.com/x?token=1", nil), ("https://hooks.example.com/x#y", nil),
      ("ftp://hooks.example.com/x", nil), ("hooks.example.com", nil), ("", nil), ("https://hooks.example.com:0/", nil),
    ] as [(String, String?)])
  func address(text: String, expected: String?) {
    #expect(
      (try? EndpointAddress(text, allowed: ["Hooks.example.com", "ci.example.com:8080"]))?.url == expected)
  }

  @Test("a refused address is not quoted if it may hold a password")
  func quoted() {
    let fault = #expect(throws: EndpointAddress.Fault.self) {
      try EndpointAddress("https://user:hunter2@hooks.example.com/", allowed: ["hooks.example.com"])
    }
    #expect(fault.map { !"\($0)".contains("hunter2") } == true)
  }
}
