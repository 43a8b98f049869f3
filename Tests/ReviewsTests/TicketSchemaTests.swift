import Foundation
import Primitives
import Reviews
import Testing

/// `deploy/schemas/ticket.schema.json`, for programs that write or read tickets.
@Suite("The ticket's schema")
struct TicketSchemaTests {
  private static let id = "0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11"
  private static let time = "2026-11-29T02:00:00.123456Z"

  /// The parts of JSON Schema that the ticket's needs.
  private struct Schema {
    let root: [String: Any]

    init() throws {
      let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
      let data = try Data(contentsOf: repository.appendingPathComponent("deploy/schemas/ticket.schema.json"))
      root = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    func accepts(_ body: String) throws -> Bool {
      guard let value = try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any] else { return false }
      let required = try #require(root["required"] as? [String])
      let properties = try #require(root["properties"] as? [String: [String: Any]])
      return required.allSatisfy { value[$0] != nil }
        && properties.allSatisfy { name, schema in value[name].map { Self.accepts($0, schema) } ?? true }
    }

    private static func accepts(_ value: Any, _ schema: [String: Any]) -> Bool {
      if let constant = schema["const"] as? Int { return value as? Int == constant }
      if schema["type"] as? String == "integer" {
        guard let number = value as? Int, let least = schema["minimum"] as? Int, let most = schema["maximum"] as? Int
        else { return false }
        return (least...most).contains(number)
      }
      guard let text = value as? String, let pattern = schema["pattern"] as? String else { return false }
      return text.range(of: pattern, options: .regularExpression) != nil
    }
  }

  private static func body(
    version: String = "1", id: String = "\"\(id)\"", attempt: String = "1", claimedAt: String = "\"\(time)\"",
    more: String = ""
  ) -> String {
    #"{"version":\#(version),"reviewId":\#(id),"attempt":\#(attempt),"claimedAt":\#(claimedAt)\#(more)}"#
  }

  @Test("it takes what the program writes")
  func own() throws {
    let ticket = Ticket(reviewID: UUID(), attempt: 3, claimedAt: Timestamp(microseconds: 1_795_000_000_000_000))
    #expect(try Schema().accepts(String(decoding: ticket.body, as: UTF8.self)))
  }

  @Test(
    "it takes what the program reads, and nothing else",
    arguments: [
      body(), body(id: "\"\(id.uppercased())\""), body(attempt: "2147483647"),
      body(claimedAt: "\"2026-11-29T03:00:00+01:00\""), body(more: #","priority":9,"note":null"#),
      body(version: "2"), body(version: "\"1\""), body(id: "\"7\""), body(id: "7"), body(id: "null"),
      body(attempt: "0"),
      body(attempt: "-1"), body(attempt: "2147483648"), body(attempt: "\"1\""), body(attempt: "1.5"),
      body(claimedAt: "\"today\""), body(claimedAt: "1795000000"), "{}", "[]", "rubbish", #"{"version":1}"#,
    ])
  func same(body: String) throws {
    let isRead = (try? Ticket(body: Array(body.utf8))) != nil
    #expect(try Schema().accepts(body) == isRead, "\(body)")
  }
}
