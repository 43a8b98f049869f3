import BatonServer
import Foundation
import Primitives
import ReviewStore
import Reviews
import Support
import Testing
import WorkerAPI

@Suite("Server: status callbacks")
struct ServerCallbackTests {
  /// A review that a producer has claimed, ready for a worker's report.
  private func queued(_ stack: ServerStack, _ sha: String = "abcdef1") async throws -> UUID {
    let id = try await stack.submit(sha)
    _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
    return id
  }

  private func withToken(
    _ stack: ServerStack, _ id: UUID, of review: UUID? = nil, attempt: Int, _ body: String
  ) async throws -> HTTPReply {
    let token = AuthToken.sign(reviewID: review ?? id, attempt: attempt, now: Date(), key: ServerStack.key)
    return try await stack.client.send(
      "POST", "/api/internal/code-review-status/\(id.lowercase)", headers: [("Authorization", "Bearer \(token)")],
      body: Array(body.utf8))
  }

  @Test("a run is reported from its start to its end; the start is written once, and the end stands")
  func run() async throws {
    try await withServerStack { stack in
      let id = try await queued(stack)
      let running = try await stack.callback(id, #"{"status":"running","attempt":1,"sessionId":"s1"}"#)
      #expect(running.status == 200)
      #expect(running.body == #"{"success":true}"#)
      let started = try #require(try await stack.store.review(id)?.startedAt)
      #expect(try await stack.callback(id, #"{"status":"running","attempt":1,"cliSessionId":"c1"}"#).status == 200)
      let end = """
        {"status":"completed","attempt":1,"gateResult":"pass",
         "usage":{"model":"m","totalTokensIn":10,"totalTokensOut":20,"totalCostMicroUSD":30}}
        """
      #expect(try await stack.callback(id, end).status == 200)
      let late = try await stack.callback(id, #"{"status":"failed","attempt":1,"errorMessage":"late"}"#)
      #expect(late.body == #"{"success":true}"#)
      let review = try #require(try await stack.store.review(id))
      #expect(review.status == .completed)
      #expect(review.startedAt == started)
      #expect(review.sessionId == "s1")
      #expect(review.cliSessionId == "c1")
      #expect(review.errorMessage == nil)
      #expect(review.totalCostMicrousd == 30)
      let metrics = try await stack.client.send("GET", "/metrics").body
      #expect(metrics.contains("baton_ended_total{status=\"completed\"} 1\n"))
      #expect(metrics.contains("baton_ended_total{status=\"failed\"} 0\n"), "an ignored callback ends nothing")
    }
  }

  @Test("a pending review, an older attempt and another session answer 200 and change nothing")
  func ignored() async throws {
    try await withServerStack { stack in
      let id = try await stack.submit("abcdef1")
      #expect(try await stack.callback(id, #"{"status":"completed"}"#).status == 200)
      #expect(try await stack.store.review(id)?.status == .pending)
      _ = try await stack.store.cancel(id)
      _ = try await stack.store.retry(id)
      _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      #expect(try await stack.callback(id, #"{"status":"failed","attempt":1}"#).status == 200)
      #expect(try await stack.store.review(id)?.status == .queued)
      #expect(try await stack.callback(id, #"{"status":"running","sessionId":"new"}"#).status == 200)
      #expect(try await stack.callback(id, #"{"status":"failed","sessionId":"old"}"#).status == 200)
      let review = try #require(try await stack.store.review(id))
      #expect(review.status == .running)
      #expect(review.sessionId == "new")
    }
  }

  @Test("a token reports on its own review and attempt only")
  func token() async throws {
    try await withServerStack { stack in
      let id = try await queued(stack)
      #expect(try await withToken(stack, id, of: UUID(), attempt: 1, #"{"status":"failed"}"#).status == 401)
      #expect(try await stack.store.review(id)?.status == .queued)
      // Without an attempt in the body, the token's counts.
      #expect(try await withToken(stack, id, attempt: 1, #"{"status":"running"}"#).status == 200)
      #expect(try await stack.store.review(id)?.status == .running)
      _ = try await stack.store.cancel(id)
      _ = try await stack.store.retry(id)
      _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      for body in [#"{"status":"failed"}"#, #"{"status":"failed","attempt":1}"#, #"{"status":"failed","attempt":2}"#] {
        let reply = try await withToken(stack, id, attempt: 1, body)
        #expect(reply.status == 200)
        #expect(reply.body == #"{"success":true}"#)
        #expect(try await stack.store.review(id)?.status == .queued)
      }
      #expect(try await withToken(stack, id, attempt: 2, #"{"status":"completed","attempt":2}"#).status == 200)
      #expect(try await stack.store.review(id)?.status == .completed)
    }
  }

  @Test("an unknown review answers 404, whatever the body says of attempts")
  func unknown() async throws {
    try await withServerStack { stack in
      let id = UUID()
      #expect(try await stack.callback(id, #"{"status":"running"}"#).status == 404)
      #expect(try await withToken(stack, id, attempt: 1, #"{"status":"running"}"#).status == 404)
      #expect(try await withToken(stack, id, attempt: 1, #"{"status":"running","attempt":2}"#).status == 404)
      let nonsense = try await stack.client.send(
        "POST", "/api/internal/code-review-status/7", headers: [("X-Internal-Secret", ServerStack.secret)],
        body: Array(#"{"status":"running"}"#.utf8))
      #expect(nonsense.status == 404)
    }
  }

  @Test(
    "an attempt, numbers and texts at the edge of what Postgres holds are taken or refused, never a 500",
    arguments: [
      (#""attempt":2147483647"#, 200), (#""attempt":2147483648"#, 422), (#""sessionId":"\u0000""#, 422),
      (#""errorMessage":"\u0000\ud83d\ude00""#, 200), (#""usage":{"totalTokensIn":9223372036854775807}"#, 200),
      (#""usage":{"totalTokensIn":9223372036854775808}"#, 200),
    ])
  func edges(field: String, status: Int) async throws {
    try await withServerStack { stack in
      let id = try await queued(stack)
      #expect(try await stack.callback(id, "{\"status\":\"failed\",\(field)}").status == status)
    }
  }
}
