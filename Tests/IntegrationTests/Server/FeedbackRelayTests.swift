import BatonServer
import Foundation
import Platforms
import Primitives
import Resilience
import ReviewStore
import Reviews
import Support
import Synchronization
import Testing

@Suite("Server: feedback's outbox")
struct FeedbackRelayTests {
  /// What was sent, and what is answered.
  private final class FakeSender: Sendable {
    let sent = Mutex<[PullRequestFeedback]>([])
    let answer = Mutex(FeedbackAnswer.delivered(checkRunID: 77))

    func send(_ feedback: PullRequestFeedback) -> FeedbackAnswer {
      sent.withLock { $0.append(feedback) }
      return answer.withLock { $0 }
    }

    /// What was sent since the last look, as `subject status`, sorted.
    func take() -> [String] {
      sent.withLock { sent in
        defer { sent = [] }
        return sent.map { "\($0.subject.rawValue) \($0.status)" }.sorted()
      }
    }
  }

  /// A review that came by webhook, with an integration that can be written with.
  private func review(_ stack: ServerStack, gate: String) async throws -> UUID {
    try await stack.addGitHub(config: "{\"gate_threshold\":\"\(gate)\"}")
    #expect(try await stack.client.send(.github("opened")).status == 202)
    return try #require(try await stack.reviews().first?.id)
  }

  private func end(_ stack: ServerStack, _ id: UUID, attempt: Int = 1, _ body: String) async throws {
    _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
    #expect(try await stack.callback(id, "{\"attempt\":\(attempt),\(body)}").status == 200)
  }

  @Test("eyes at intake, hooray or confused at the end, and no check if there is no gate")
  func reactions() async throws {
    try await withServerStack { stack in
      let platform = FakeSender()
      let relay = FeedbackRelay(store: stack.store, logger: ServerStack.silent) { platform.send($0) }
      let id = try await review(stack, gate: "off")
      try await relay.deliverDue()
      #expect(platform.take() == ["eyes pending"])
      try await end(stack, id, #""status":"failed""#)
      try await relay.deliverDue()
      #expect(platform.take() == ["confused failed"])
      _ = try await stack.store.retry(id)
      try await end(stack, id, attempt: 2, #""status":"completed""#)
      try await relay.deliverDue()
      try await relay.deliverDue()
      #expect(platform.take() == ["hooray completed"])
      #expect(try await stack.count("baton_feedback") == 0)
    }
  }

  @Test("a gate's check follows the review to its end, and its id is in the row; a retry begins another")
  func gate() async throws {
    try await withServerStack { stack in
      let platform = FakeSender()
      let relay = FeedbackRelay(store: stack.store, logger: ServerStack.silent) { platform.send($0) }
      let id = try await review(stack, gate: "warning")
      try await relay.deliverDue()
      #expect(platform.take() == ["eyes pending", "gate pending"])
      #expect(try await stack.count("code_reviews WHERE check_run_id = 77") == 1)
      try await end(stack, id, #""status":"running""#)
      try await relay.deliverDue()
      #expect(platform.take() == ["gate running"])
      // Whatever the owner has configured since: what was begun is ended.
      try await stack.run("UPDATE agent_configs SET is_enabled = false")
      #expect(try await stack.callback(id, #"{"status":"failed","attempt":1}"#).status == 200)
      try await relay.deliverDue()
      #expect(platform.take() == ["confused failed", "gate failed"])
      _ = try await stack.store.retry(id)
      #expect(try await stack.count("code_reviews WHERE check_run_id IS NULL") == 1)
      try await relay.deliverDue()
      let gate = try #require(platform.sent.withLock { $0.last })
      #expect((gate.attempt, gate.toldAttempt, gate.toldStatus) == (2, 1, .failed))
    }
  }

  @Test("a review that moves on while its feedback is sent gets feedback once more")
  func overtaken() async throws {
    try await withServerStack { stack in
      let platform = FakeSender()
      let id = try await review(stack, gate: "all")
      let relay = FeedbackRelay(store: stack.store, logger: ServerStack.silent) { feedback in
        if feedback.subject == .gate, feedback.status == .pending { _ = try? await stack.store.cancel(id) }
        return platform.send(feedback)
      }
      try await relay.deliverDue()
      try await relay.deliverDue()
      #expect(platform.take() == ["eyes pending", "gate cancelled", "gate pending"])
      #expect(try await stack.count("baton_feedback WHERE due_at IS NOT NULL") == 0)
    }
  }

  @Test("an outage is waited for; a refusal is given up after a while, the dashboard says so, and the review goes on")
  func refusal() async throws {
    try await withServerStack { stack in
      let platform = FakeSender()
      let relay = FeedbackRelay(store: stack.store, logger: ServerStack.silent) { platform.send($0) }
      platform.answer.withLock { $0 = .later("down", retryAfter: .seconds(60)) }
      let id = try await review(stack, gate: "all")
      try await relay.deliverDue()
      try await relay.deliverDue()
      #expect(platform.take() == ["eyes pending", "gate pending"])
      let waiting = "baton_feedback WHERE due_at > now() + interval '30 s' AND last_error = 'down'"
      #expect(try await stack.count(waiting) == 2)
      #expect(try await stack.store.undeliveredFeedback(of: id).map(\.subject) == [.eyes, .gate])
      #expect(try await stack.store.givenUpFeedback() == nil)
      let path = "/reviews/\(id.lowercase)"
      let page = try await stack.client.send("GET", path).body
      #expect(page.contains("tried 1 time, next ") && page.contains("<bdi>down</bdi>"))
      platform.answer.withLock { $0 = .refused("404") }
      try await stack.run("UPDATE baton_feedback SET due_at = now()")
      try await relay.deliverDue()
      #expect(try await stack.count("baton_feedback WHERE due_at IS NOT NULL") == 2)
      try await stack.run("UPDATE baton_feedback SET due_at = now(), due_since = now() - interval '1 h'")
      try await relay.deliverDue()
      #expect(try await stack.count("baton_feedback WHERE due_at IS NULL AND given_up_at IS NOT NULL") == 2)
      #expect(try await stack.store.review(id)?.status == .pending)
      #expect(try await stack.client.send("GET", path).body.contains("tried 3 times, given up"))
      let front = try await stack.client.send("GET", "/").body
      #expect(front.contains("Feedback could not be delivered to 1 pull request") && front.contains("href=\"\(path)\""))
      try await stack.run("UPDATE baton_feedback SET given_up_at = now() - interval '2 days' WHERE subject = 'gate'")
      #expect(try await stack.store.givenUpFeedback()?.examples == [id])
      // The next change is tried again: rights may have been given since.
      platform.answer.withLock { $0 = .delivered(checkRunID: 5) }
      _ = platform.take()
      _ = try await stack.store.cancel(id)
      try await relay.deliverDue()
      #expect(platform.take() == ["gate cancelled"])
      #expect(try await stack.store.undeliveredFeedback(of: id).map(\.subject) == [.eyes])
    }
  }

  @Test("feedback that waits for the operator counts between two tries too, and is named once it waits for long")
  func blocked() async throws {
    try await withServerStack { stack in
      let platform = FakeSender()
      let relay = FeedbackRelay(store: stack.store, logger: ServerStack.silent) { platform.send($0) }
      platform.answer.withLock { $0 = .blocked("BATON_GITHUB_APP_ID is not set") }
      let id = try await review(stack, gate: "all")
      // Without the second for which the API remembers them.
      let figures = LoadFigures(store: stack.store, heartbeatTimeout: .seconds(60), ownerLimit: 20) { nil }
      func problem() async throws -> HealthFinding? {
        try await figures.stats().problems.first { $0.title.contains("eedback") }
      }
      try await relay.deliverDue()
      #expect(try await stack.count("baton_feedback WHERE due_at > now()") == 2)
      let backlog = try await stack.store.backlog()
      #expect(backlog.feedback == 2 && backlog.feedbackGivenUp == 0)
      #expect(try await problem() == nil)
      try await stack.run("UPDATE baton_feedback SET due_since = now() - interval '11 minutes'")
      let found = try #require(try await problem())
      #expect(found.title == "Feedback waits for 1 pull request" && found.grade == .warning)
      #expect(found.reason == "BATON_GITHUB_APP_ID is not set" && found.since != nil)
      let front = try await stack.client.send("GET", "/").body
      #expect(
        front.contains("Feedback waits for 1 pull request") && front.contains("href=\"/reviews/\(id.lowercase)\""))
      platform.answer.withLock { $0 = .delivered(checkRunID: 5) }
      try await stack.run("UPDATE baton_feedback SET due_at = now()")
      try await relay.deliverDue()
      #expect(try await stack.store.backlog().feedback == 0)
      #expect(try await problem() == nil)
    }
  }

  @Test("a review without an integration, or with one that holds nothing to write with, costs no entry")
  func without() async throws {
    try await withServerStack { stack in
      _ = try await stack.submit("abcdef1")
      let gitlab = try await stack.addGitLab()
      #expect(try await stack.client.send(.gitlab(integration: gitlab)).status == 202)
      #expect(try await stack.count("code_reviews") == 2)
      #expect(try await stack.count("baton_feedback") == 0)
    }
  }

  @Test("feedback is deleted with its review")
  func deleted() async throws {
    try await withServerStack { stack in
      _ = try await review(stack, gate: "all")
      #expect(try await stack.count("baton_feedback") == 2)
      try await stack.run("DELETE FROM code_reviews")
      #expect(try await stack.count("baton_feedback") == 0)
    }
  }

  @Test("what is due at a host that is unavailable is left as it is, until the host may answer")
  func unavailable() async throws {
    try await withServerStack { stack in
      let platform = FakeSender()
      let circuits = Circuits()
      let relay = FeedbackRelay(store: stack.store, circuits: circuits, logger: ServerStack.silent) {
        platform.send($0)
      }
      _ = try await review(stack, gate: "all")
      #expect(try await stack.count("baton_feedback WHERE host = 'github'") == 2)
      while circuits["github"].openFor == nil { circuits["github"].failed(reason: "503") }
      try await relay.deliverDue()
      #expect(platform.take() == [])
      #expect(try await stack.count("baton_feedback WHERE due_at <= now() AND tries = 0 AND last_error IS NULL") == 2)
      circuits["github"].mayAnswer()
      try await eventually("all is sent") {
        try await stack.run("UPDATE baton_feedback SET due_at = now() WHERE due_at > now()")
        try await relay.deliverDue()
        return platform.sent.withLock { $0.count } == 2
      }
    }
  }

  @Test("a host that answers slowly leaves half of the slots to the others")
  func slowHost() async throws {
    try await withServerStack { stack in
      for number in 1...20 { _ = try await stack.submit("e\(number)") }
      let gitlab = try await stack.addGitLab()
      #expect(try await stack.client.send(.gitlab(integration: gitlab)).status == 202)
      try await stack.run(
        "UPDATE platform_integrations SET instance_url = 'https://gitlab.example' WHERE platform = 'gitlab'")
      try await stack.run(
        """
        INSERT INTO baton_feedback (review_id, subject, due_at, host)
        SELECT id, 'eyes', now() - CASE platform WHEN 'github' THEN interval '1 hour' ELSE interval '1 minute' END,
               CASE platform WHEN 'github' THEN 'github' ELSE 'https://gitlab.example' END
          FROM code_reviews
        """)
      #expect(try await stack.count("baton_feedback") == 21)
      let answer = Task { try? await Task.sleep(for: .seconds(600)) }
      let sent = Mutex<[Platform]>([])
      let relay = FeedbackRelay(store: stack.store, logger: ServerStack.silent) { feedback in
        sent.withLock { $0.append(feedback.platform) }
        if feedback.platform == .github { _ = await answer.value }
        return .delivered(checkRunID: nil)
      }
      let running = Task { try await relay.run() }
      try await eventually("GitLab's is sent") { sent.withLock { $0.contains(.gitlab) } }
      #expect(sent.withLock { $0.count { $0 == .github } } == FeedbackRelay.sendsToHostAtOnce)
      answer.cancel()
      try await eventually("all are sent") { try await stack.count("baton_feedback") == 0 }
      running.cancel()
      try await running.value
    }
  }
}
