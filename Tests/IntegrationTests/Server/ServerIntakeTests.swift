import BatonServer
import Foundation
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: intake")
struct ServerIntakeTests {
  @Test("a review is created once; the same repository, number and commit answer with the existing one")
  func once() async throws {
    try await withServerStack { stack in
      let first = try await stack.client.send("POST", "/api/reviews", body: ServerStack.review("abcdef1"))
      #expect(first.status == 201)
      #expect(first.object["status"] as? String == "pending")
      let id = try #require(first.object["id"] as? String)
      #expect(id == id.lowercased())
      let again = try await stack.client.send("POST", "/api/reviews", body: ServerStack.review("ABCDEF1"))
      #expect(again.status == 200)
      #expect(again.object["id"] as? String == id)
      let other = try await stack.client.send("POST", "/api/reviews", body: ServerStack.review("abcdef2"))
      #expect(other.status == 201)
      #expect(other.object["id"] as? String != id)
    }
  }

  @Test("the same review sent by many at once is made once")
  func concurrent() async throws {
    try await withServerStack { stack in
      let replies = try await withThrowingTaskGroup(of: HTTPReply.self) { group in
        for _ in 0..<12 {
          group.addTask { try await stack.client.send("POST", "/api/reviews", body: ServerStack.review("abcdef1")) }
        }
        return try await group.reduce(into: [HTTPReply]()) { $0.append($1) }
      }
      #expect(replies.count { $0.status == 201 } == 1)
      #expect(replies.count { $0.status == 200 } == 11)
      #expect(Set(replies.compactMap { $0.object["id"] as? String }).count == 1)
    }
  }

  @Test("the trace of the request is the review's; a malformed one starts a new trace")
  func trace() async throws {
    try await withServerStack { stack in
      let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
      _ = try await stack.submit("abcdef1", headers: [("traceparent", trace)])
      _ = try await stack.submit("abcdef2", headers: [("traceparent", "00-0-0-01")])
      let claims = try await stack.store.claim(
        limit: 10, ownerLimit: 10, by: Holder.ID())
      let traces = Set(claims.map(\.trace.traceparent))
      #expect(traces.count == 2)
      #expect(traces.contains(trace))
    }
  }

  @Test(
    "what the database cannot take is the sender's fault, not a 500",
    arguments: [
      #""prTitle":"\u0000""#, #""priority":40000"#, #""prNumber":2147483648"#,
      #""platformProjectId":9223372036854775808"#,
      #""platformIntegrationId":"00000000-0000-0000-0000-00000000000g""#, #""userId":["x"]"#,
    ])
  func unfit(field: String) async throws {
    try await withServerStack { stack in
      let good = String(decoding: ServerStack.review("abcdef1"), as: UTF8.self)
      // Behind the good fields: the last one of a name counts.
      let name = field.prefix { $0 != ":" }
      let body = good.split(separator: ",").filter { !$0.contains(name) }.joined(separator: ",")
      let text = body.hasSuffix("}") ? String(body.dropLast()) + "," + field + "}" : body + "," + field + "}"
      let reply = try await stack.client.send("POST", "/api/reviews", body: Array(text.utf8))
      #expect([400, 422].contains(reply.status), "\(reply.status) \(reply.body)")
    }
  }

  @Test("a review that names another owner's integration, or another platform's, is answered 422 with the field")
  func foreignIntegration() async throws {
    try await withServerStack { stack in
      let (github, gitlab) = (UUID().lowercase, UUID().lowercase)
      try await stack.run(
        """
        INSERT INTO platform_integrations (id, owner_type, owner_id, platform)
        VALUES ('\(github)', 'org', 'acme', 'github'), ('\(gitlab)', 'org', 'acme', 'gitlab')
        """)
      func submit(_ sha: String, owner: String, _ integration: String) async throws -> HTTPReply {
        let review = String(decoding: ServerStack.review(sha, owner: owner), as: UTF8.self)
        return try await stack.client.send(
          "POST", "/api/reviews",
          body: Array((review.dropLast() + ",\"platformIntegrationId\":\"\(integration)\"}").utf8))
      }
      for (owner, integration, other) in [
        ("evil", github, "owner"), ("evil", gitlab, "owner"), ("acme", gitlab, "platform"),
      ] {
        let reply = try await submit("abcdef1", owner: owner, integration)
        #expect(reply.status == 422, "\(reply.body)")
        let faults = try #require(reply.object["faults"] as? [String])
        #expect(
          faults == [
            "platformIntegrationId: review names integration \(integration), which belongs to another \(other)"
          ])
      }
      #expect(try await submit("abcdef1", owner: "acme", github).status == 201)
      #expect(try await submit("abcdef2", owner: "acme", UUID().lowercase).status == 201)
    }
  }
}
