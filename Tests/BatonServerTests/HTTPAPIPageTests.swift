import Foundation
import Primitives
import Reviews
import Support
import Testing

@testable import BatonServer

@Suite("The page HTTPAPI.md", .timeLimit(.minutes(1)))
struct HTTPAPIPageTests {
  private struct Row: Hashable {
    var method: String
    var path: String
    var access: String
    var target: String { path.replacing(/\{[a-zA-Z]+\}/, with: "0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11") }
  }

  private static func page() throws -> String {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return try String(
      contentsOf: root.appendingPathComponent("Sources/baton/baton.docc/HTTPAPI.md"), encoding: .utf8)
  }

  private static func rows() throws -> [Row] {
    try page().matches(of: /\n\| `(GET|POST|PUT) (\/[^` ]*)` \| ([a-z]+) \|/).map {
      Row(method: String($0.1), path: String($0.2), access: String($0.3))
    }
  }

  @Test("it names every route with its method, and no other")
  func routes() async throws {
    let rows = try Self.rows()
    #expect(Set(rows).count == rows.count)
    try await withServer { server in
      var served: Set<String> = []
      for path in server.paths where path.hasPrefix("/") {
        let target = Row(method: "", path: path, access: "").target
        let reply = try await server.client.send("DELETE", target)
        guard reply.status == 405 else { continue }
        let methods = (reply.headers["allow"] ?? "").split(separator: ", ").filter { $0 != "HEAD" }
        for method in methods { served.insert("\(method) \(path)") }
      }
      #expect(served.count > 20)
      #expect(Set(rows.map { "\($0.method) \($0.path)" }) == served)
    }
  }

  @Test("a route of the API that needs a token answers 401 without one, an open one does not")
  func access() async throws {
    let rows = try Self.rows().filter { $0.access == "token" && $0.path.hasPrefix("/api/") || $0.access == "all" }
    #expect(rows.count > 10)
    try await withServer(apiToken: Secret("a token of sixteen bytes")) { server in
      for row in rows {
        let status = try await server.client.send(row.method, row.target).status
        #expect((status == 401) == (row.access == "token"), "\(row.method) \(row.path): \(status)")
      }
    }
  }

  @Test("its examples are bodies that the server reads and sends")
  func examples() throws {
    let blocks = try Self.page().matches(of: /```json\n(.*?)```/.dotMatchesNewlines()).map { Data(String($0.1).utf8) }
    try #require(blocks.count == 4)
    let review = try NewReview(json: blocks[1])
    let faulty = String(decoding: blocks[1], as: UTF8.self).replacing("\"prNumber\": 7", with: "\"prNumber\": 0")
    let faults = #expect(throws: NewReviewFaults.self) { try NewReview(json: Data(faulty.utf8)) }
    let fault = try #require(try JSONSerialization.jsonObject(with: blocks[0]) as? [String: Any])
    #expect(fault["faults"] as? [String] == faults?.faults)
    #expect(fault["error"] as? String == "not a review: \(faults?.description ?? "")")
    #expect(Set(fault.keys) == ["error", "faults"] && review.prNumber == 7)
    let submitted = try #require(try JSONSerialization.jsonObject(with: blocks[2]) as? [String: Any])
    #expect(Set(submitted.keys) == ["id", "status"])
    let stats = try JSONCoding.decode(StatsBody.self, from: blocks[3])
    let sent = try JSONSerialization.jsonObject(with: JSONCoding.encode(stats)) as? NSDictionary
    #expect(try JSONSerialization.jsonObject(with: blocks[3]) as? NSDictionary == sent)
  }
}
