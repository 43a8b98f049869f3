import Foundation
import HTTPTypes
import Primitives
import Reviews
import Support
import Telemetry
import Testing

@testable import BatonServer
@testable import ReviewStore

@Suite("OpenAPI document", .timeLimit(.minutes(1)))
struct OpenAPITests {
  private func document() throws -> Document {
    try Document(String(decoding: PackageResources.openapi_json, as: UTF8.self))
  }

  @Test("the server gives it without a token, and its version is 3.1")
  func served() async throws {
    try await withServer(apiToken: Secret("a token of sixteen bytes")) { server in
      let reply = try await server.client.send("GET", "/api/openapi.json")
      #expect(reply.status == 200)
      #expect(reply.headers["content-type"]?.hasPrefix("application/json") == true)
      #expect(reply.json["openapi"] as? String == "3.1.0")
    }
  }

  @Test("it names every route for programs with its methods, and no other")
  func routes() async throws {
    let document = try document()
    let described = Set(document.paths.keys)
    let methods = document.paths.mapValues { Set($0.keys) }
    try await withServer { server in
      let forPrograms = server.paths.filter {
        $0.hasPrefix("/api/") || $0.hasPrefix("/webhooks/") || ["/metrics", "/livez", "/readyz"].contains($0)
      }
      #expect(described == Set(forPrograms))
      for (path, known) in methods {
        let target = path.replacing(/\{[a-zA-Z]+\}/, with: "0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11")
        let reply = try await server.client.send("DELETE", target)
        let allowed = Set((reply.headers["allow"] ?? "").split(separator: ", ").map { $0.lowercased() })
        #expect(reply.status == 405, "\(path)")
        #expect(allowed.subtracting(["head"]) == known, "\(path)")
      }
    }
  }

  @Test("a route that takes a body names what is wrong with bodies: malformed, late, too large, not allowed")
  func bodies() throws {
    let operations = try document().paths.flatMap { path, operations in
      operations.compactMap { method, operation in (operation as? [String: Any]).map { ("\(method) \(path)", $0) } }
    }.filter { $0.1["requestBody"] != nil }
    #expect(operations.count >= 6)
    for (name, operation) in operations {
      let statuses = Set((operation["responses"] as? [String: Any] ?? [:]).keys)
      #expect(statuses.isSuperset(of: ["400", "408", "413", "422"]), "\(name): \(statuses.sorted())")
    }
  }

  @Test("a list says what a query that it does not know is answered")
  func queries() async throws {
    let lists = ["/api/owners", "/api/endpoints", "/api/worker-versions", "/api/integrations", "/api/deliveries"]
    let paths = try document().paths
    for path in lists {
      let operation = paths[path]?["get"] as? [String: Any]
      #expect((operation?["responses"] as? [String: Any])?["400"] != nil, "\(path)")
    }
    try await withServer { server in
      for path in lists {
        let reply = try await server.client.send("GET", path + "?unknown=1")
        #expect(reply.status == 400, "\(path)")
      }
    }
  }

  @Test("every reference leads to something, and every schema is used")
  func references() throws {
    let document = try document()
    let reference = #/"\#/components/(?<name>[A-Za-z]+/[A-Za-z]+)"/#
    let used = Set(document.text.matches(of: reference).map { String($0.output.name) })
    let present = document.components.flatMap { kind, entries in
      kind == "securitySchemes" ? [] : entries.keys.map { "\(kind)/\($0)" }
    }
    #expect(used == Set(present))
  }

  @Test("a review's schema has exactly the fields that the server sends")
  func reviewFields() throws {
    let document = try document()
    let schema = document.schema("Review")
    let sent = try Self.keys(of: ReviewBody(AnswerBodyTests.review))
    #expect(Set(schema.properties.keys) == sent)
    #expect(schema.required == sent)
    let transition = ReviewTransition(
      at: Timestamp(microseconds: 0), fromStatus: nil, toStatus: .pending, reason: nil, actor: nil)
    let body = try JSONSerialization.jsonObject(
      with: JSONCoding.encode(ReviewBody(AnswerBodyTests.review, transitions: [transition])))
    let transitions = try #require((body as? [String: Any])?["transitions"] as? [[String: Any]])
    #expect(Set(document.schema("Transition").properties.keys) == Set(transitions[0].keys))
  }

  @Test("a new review's schema has exactly the fields that the server reads, and those that it requires")
  func newReviewFields() throws {
    let document = try document()
    let schema = document.schema("NewReview")
    let full = NewReview(
      owner: Owner(type: .org, id: "acme"), userId: "u", platform: .github, platformIntegrationId: UUID(),
      platformProjectId: 1, platformRepositoryId: 2, repoFullName: "acme/shop", prNumber: 7, prUrl: "https://h/1",
      prTitle: "t", prAuthor: "a",
      baseRef: "main", headRef: "fast", headSha: "01234567", priority: 1,
      availableAt: Timestamp(microseconds: 0))
    #expect(Set(schema.properties.keys) == (try Self.keys(of: full)))
    let faults = #expect(throws: NewReviewFaults.self) { try NewReview(json: Data("{}".utf8)) }
    #expect(schema.required == Set(faults?.faults.map { String($0.prefix { $0 != ":" }) } ?? []))
  }

  @Test("figures, statuses and error codes are those of the program")
  func enumerations() throws {
    let document = try document()
    let stats = StatsBody(
      store: StoreStats(
        counts: [:], oldestPending: nil, oldestQueued: nil, unacknowledged: 0, consumers: 0),
      queue: QueueFigures(name: "q", ready: 0, consumers: 0, dead: 0))
    #expect(Set(document.schema("Stats").properties.keys) == (try Self.keys(of: stats)))
    #expect(Set(document.schema("Queue").properties.keys) == (try Self.keys(of: stats.queue)))
    #expect(document.schema("Status").values == ReviewStatus.allCases.map(\.rawValue))
    let code = try #require(document.schema("Review").properties["errorCode"] as? [String: Any])
    #expect((code["enum"] as? [Any])?.compactMap { $0 as? String } == ErrorCode.allCases.map(\.rawValue))
  }

  @Test("what a webhook is answered has the fields and the outcomes of its schema, and no other")
  func webhookResults() throws {
    let schema = try document().schema("WebhookResult")
    let answers: [WebhookIntake.Receipt] = [
      .processed(.reviewMadePending(UUID(), attempt: 2, TraceContext())), .processed(.unchanged("a draft", UUID())),
      .processed(.cancelled(1)), .processed(.repeated), .stored,
    ]
    let answered = answers.map { WebhookAnswer($0) }
    #expect(answered.map(\.body.outcome) == ((schema.properties["outcome"] as? [String: Any])?["enum"] as? [String]))
    #expect(answered.map(\.status.code) == [202, 200, 200, 200, 202])
    let sent = try answered.reduce(into: Set<String>()) { $0.formUnion(try Self.keys(of: $1.body)) }
    #expect(Set(schema.properties.keys) == sent && schema.required == ["outcome"])
  }

  private static func keys(of value: some Encodable) throws -> Set<String> {
    let object = try JSONSerialization.jsonObject(with: JSONCoding.encode(value))
    return Set(try #require(object as? [String: Any]).keys)
  }
}

/// The parts of the document that the tests look at.
private struct Document {
  struct Schema {
    let object: [String: Any]
    var properties: [String: Any] { object["properties"] as? [String: Any] ?? [:] }
    var required: Set<String> { Set(object["required"] as? [String] ?? []) }
    var values: [String] { object["enum"] as? [String] ?? [] }
  }

  let text: String
  let root: [String: Any]

  init(_ text: String) throws {
    self.text = text
    root = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  var paths: [String: [String: Any]] { root["paths"] as? [String: [String: Any]] ?? [:] }
  var components: [String: [String: Any]] { root["components"] as? [String: [String: Any]] ?? [:] }

  func schema(_ name: String) -> Schema {
    Schema(object: components["schemas"]?[name] as? [String: Any] ?? [:])
  }
}
