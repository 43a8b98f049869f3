import Support
import Telemetry
import Testing

@Suite("Redactor")
struct RedactorTests {
  let redactor = Redactor()

  @Test(
    "keys that name a secret are known in every spelling",
    arguments: [
      "token", "authToken", "github-token", "WORKER_TOKEN", "secret", "clientSecret", "password", "Authorization",
      "proxy-authorization", "prompt", "x-api-key", "apiKey", "githubPrivateKey", "encryption_key", "Cookie",
      "authtoken",
    ])
  func secretKeys(key: String) {
    #expect(redactor.isSecret(key: key))
  }

  @Test(
    "keys that only look alike are not",
    arguments: ["review", "total_tokens_in", "attempt", "queue", "deliveryTag", "key", "secretary", ""])
  func plainKeys(key: String) {
    #expect(!redactor.isSecret(key: key))
  }

  @Test(
    "a secret in a text is masked, and nothing else",
    arguments: [
      ("amqp://guest:hunter2@rabbit:5672/v", "amqp://guest:***@rabbit:5672/v"),
      ("to postgres://u:p%40ss@db/x, again", "to postgres://u:***@db/x, again"),
      ("postgres://u:p@ss@db/x", "postgres://u:***@db/x"),
      ("postgres://u:pa/ss@db/x", "postgres://u:***@db/x"),
      ("amqp://a:b@h1,amqps://c:d@h2", "amqp://a:***@h1,amqps://c:***@h2"),
      ("clone https://abcdef@github.com/o/r", "clone https://***@github.com/o/r"),
      ("host=db password=hunter2 user=u", "host=db password=*** user=u"),
      ("password='two words' user=u", "password='***' user=u"),
      ("GET /x?access_token=abc&page=2", "GET /x?access_token=***&page=2"),
      (#"{"token":"a\"b","id":1}"#, #"{"token":"***","id":1}"#),
      (#"{"authToken" : "abc"}"#, #"{"authToken" : "***"}"#),
      ("Authorization: Bearer abc", "Authorization: ***"),
      ("sent Bearer abcdefghijklmnop1234", "sent Bearer ***"),
      ("used ghs_16C7e42F292c6912E7710c838347Ae178B4a.", "used ***"),
      ("x=ghp_aaaaaaaaaaaaaaaaaaaa/y", "x=***"),
      ("used glpat-abcdefghij0123456789", "used ***"),
      ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln end", "jwt *** end"),
      ("key -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- end", "key *** end"),
      ("cut -----BEGIN PRIVATE KEY-----\nMII", "cut ***"),
      (
        "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nMII",
        "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n***"
      ),
      ("PRIVATE KEY----- -----BEGIN PRIVATE KEY-----\nMII", "PRIVATE KEY----- ***"),
      ("sent Bearer Bearer abcdefghijklmnop1234", "sent Bearer Bearer ***"),
      ("amqp://h:1/a://b, postgres://u:p@db amqp://u:q@h", "amqp://h:1/a://b, postgres://u:***@db amqp://u:***@h"),
    ])
  func masks(text: String, expected: String) {
    #expect(redactor.redact(text) == expected)
  }

  @Test(
    "what is no secret stays as it is",
    arguments: [
      "", ":", "=", "://", "://@", "a://:@", "Bearer token missing", "token: expired", "https://github.com/o/r/pull/7",
      "http://127.0.0.1:8080/api/reviews?limit=5", "https://host:8443/a@b", "postgres://user@db/x", "5 = 5, a: b",
      "published 12 of 12 in 0:03", "-----BEGIN CERTIFICATE-----", "größe=✓ 👍🏽",
    ])
  func leaves(text: String) {
    #expect(redactor.redact(text) == text)
  }

  @Test("no text makes it fail, and masking twice changes nothing more", arguments: 1...20 as ClosedRange<UInt64>)
  func random(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let parts = [
      "://", ":", "=", "@", "/", "\"", "\\", " ", "token", "password", "http", "x", "Bearer ", "-----BEGIN ",
      "PRIVATE KEY-----", "é", "\n", "ghp_aaaaaaaaaaaaaaaaaaaa",
    ]
    for _ in 0..<500 {
      let text = (0..<Int.random(in: 0...12, using: &generator)).map { _ in parts.randomElement(using: &generator)! }
      let once = redactor.redact(text.joined())
      #expect(redactor.redact(once) == once, "seed \(seed): \(text.joined())")
      #expect(!once.contains("ghp_"))
    }
  }
}
