import Foundation
import Reviews
import Support
import Testing

@testable import BatonServer

@Suite("Finding the installation without decoding")
struct InstallationScannerTests {
  private func scan(_ bytes: [UInt8]) -> Int64? {
    bytes.withUnsafeBytes { InstallationScanner.installation(in: $0) }
  }

  @Test(
    "only the id of the outermost object's own installation counts",
    arguments: [
      (#"{"installation":{"id":7}}"#, 7), (#" { "a" : [ ] , "installation" : { "node_id":"x", "id" : 7 } } "#, 7),
      (#"{"x":{"installation":{"id":1}},"installation":{"id":7}}"#, 7),
      (#"{"x":[{"installation":{"id":1}}],"installation":{"a":{"id":2},"id":7}}"#, 7),
      (#"{"installation":{"account":{"id":1}},"id":7}"#, nil), (#"{"x":{"installation":{"id":1}}}"#, nil),
      (#"{"x":"\"installation\":{\"id\":1}","installation":{"id":7}}"#, 7),
      (#"{"x":"\\","installation":{"id":7}}"#, 7), (#"{"x":"{[","installation":{"id":7}}"#, 7),
      (#"{"a":1,"b":true,"c":null,"d":-1.5e3,"e":[[],{}],"installation":{"id":7}}"#, 7),
      (#"{"installation":null}"#, nil), (#"{"installation":{"id":"7"}}"#, nil), (#"{"installation":{"id":7.5}}"#, nil),
      (#"{"installation":{"id":-7}}"#, nil), (#"{"installation":{"id":{"id":7}}}"#, nil),
      (#"{"installation":[7]}"#, nil),
      (#"{"installation":{"id":99999999999999999999}}"#, nil), (#"[{"installation":{"id":7}}]"#, nil), ("", nil),
      (#"{"installatio\"#, nil), (#"{"installation":{"id":7"#, nil), (#"{"installation"#, nil), ("{\"", nil),
    ] as [(String, Int64?)])
  func own(text: String, id: Int64?) { #expect(scan(Array(text.utf8)) == id) }

  @Test("in a JSON body with each name once, it finds what the decoder finds", arguments: 0..<4)
  func sameAsDecoder(round: Int) throws {
    let seed = SeededGenerator.seed()
    var random = SeededGenerator(seed: seed &+ UInt64(round))
    for name in ["opened", "synchronize", "closed", "labeled"] {
      let recorded = try RecordedWebhook.github(name).body
      #expect(scan(recorded) == 1)
      for _ in 0..<100 {
        let body = random.mutate(recorded)
        guard let payload = try? GitHubPayload(json: Data(body)), let found = payload.installationID else {
          _ = scan(body)
          continue
        }
        // A mutation may write the name twice, or the number in another form: then there may be none, and the delivery is refused.
        if let scanned = scan(body), scanned != found {
          let text = String(decoding: body, as: UTF8.self)
          #expect(text.ranges(of: "\"installation\"").count > 1 || text.ranges(of: "\"id\"").count > 1, "seed \(seed)")
        }
      }
    }
  }
}
