import AMQPClient
import BatonServer
import Foundation
import PostgresClient
import Primitives
import ReviewQueue
import ReviewStore
import Reviews
import Support
import Testing
import WorkerAPI
import WorkerClient

/// What a person has who has signed in: the session, and the page's own token.
struct DashboardVisit {
  let stack: ServerStack
  let cookie: String
  let csrf: String

  /// - Parameter more: headers that a proxy adds.
  init(_ stack: ServerStack, token: String = ServerStack.token, headers more: [(String, String)] = []) async throws {
    let reply = try await stack.client.send(
      "POST", "/login", headers: [("Sec-Fetch-Site", "same-origin")] + more,
      body: Array("token=\(token.replacing(" ", with: "+"))".utf8))
    self.stack = stack
    cookie = String((reply.headers["set-cookie"] ?? "").prefix { $0 != ";" })
    let page = try await stack.client.send("GET", "/", headers: [("Cookie", cookie)] + more)
    let match = try #require(page.body.firstMatch(of: /name="csrf" value="(\w+)"/))
    csrf = String(match.1)
  }

  /// Presses a button, as the script does.
  func press(_ path: String, subject: String = "", headers: [(String, String)] = []) async throws -> HTTPReply {
    try await self.press(path, subject: subject, headers: headers, on: stack)
  }

  /// Presses a button without the script: what its form sends, other than what proves the page.
  /// - Parameter csrf: another one than the page's.
  func submit(
    _ path: String, _ fields: String, csrf: String? = nil, back: String = "%2Freviews"
  ) async throws -> HTTPReply {
    try await stack.client.send(
      "POST", path, headers: [("Cookie", cookie), ("Sec-Fetch-Site", "same-origin"), ("Accept", "text/html")],
      body: Array("csrf=\(csrf ?? self.csrf)&back=\(back)&\(fields)".utf8))
  }

  /// The same, on another server.
  func press(
    _ path: String, subject: String, headers: [(String, String)] = [], on stack: ServerStack
  ) async throws -> HTTPReply {
    let form = "csrf=\(csrf)&back=%2F&subject=\(subject.replacing(":", with: "%3A"))"
    return try await stack.client.send(
      "POST", path,
      headers: [("Cookie", cookie), ("Sec-Fetch-Site", "same-origin"), ("Accept", "text/plain")] + headers,
      body: Array(form.utf8))
  }
}

@Suite("Server: dashboard")
struct DashboardTests {
  static let title = "<script>alert(1)</script>\" onload=\"alert(2)"

  @Test("the front page says what is stuck, why, and what to do")
  func problems() async throws {
    try await withServerStack(queue: QueueFigures(name: "q", ready: 1, consumers: 0, dead: 3)) { stack in
      #expect(try await stack.client.send("GET", "/").body.contains("Something needs a look"))
      let queued = try await stack.submit("abcdef1")
      _ = try await stack.store.claim(limit: 1, ownerLimit: 1, by: Holder.ID())
      try await stack.run("UPDATE code_reviews SET published_at = now() WHERE id = '\(queued)'")
      _ = try await stack.submit("abcdef2")
      try await stack.store.setLimit(of: Owner(type: .org, id: "acme"), to: 1)
      let page = try await stack.client.send("GET", "/").body
      for text in [
        "Reviews are stuck", "1 review in the queue, and no consumer", "baton consume", "3 dead letters",
        "baton dead purge", "href=\"/dead-letters\"",
        "1 review waits for a slot", "1 of 1",
      ] { #expect(page.contains(text), "\(text)") }
      #expect(page.contains("href=\"/reviews/\(queued.lowercase)\""))
      _ = try await stack.store.setPaused(true, Owner(type: .org, id: "acme"))
      #expect(try await stack.client.send("GET", "/").body.contains("1 review of paused owners"))
    }
  }

  @Test("the page of dead letters leads to their reviews, and its button retries one that has failed")
  func deadLetters() async throws {
    let id = UUID()
    let ticket = Ticket(reviewID: id, attempt: 1, claimedAt: Timestamp(microseconds: 0))
    let letter = DeadLetter(AMQPDelivery(body: ticket.body, headers: ["x-first-death-reason": "delivery_limit"]))
    try await withServerStack(
      queue: QueueFigures(name: "q", ready: 0, consumers: 1, dead: 1), deadLetters: [letter]
    ) { stack in
      #expect(try await stack.client.send("GET", "/dead-letters").body.contains("unknown review"))
      let submitted = try await stack.submit("abcdef1")
      try await stack.run("UPDATE code_reviews SET id = '\(id)' WHERE id = '\(submitted)'")
      let pending = try await stack.client.send("GET", "/dead-letters").body
      #expect(pending.contains("href=\"/reviews/\(id.lowercase)\"") && !pending.contains("/retry"))
      try await stack.run("UPDATE code_reviews SET status = 'failed', error_code = 'attempts_exhausted'")
      let failed = try await stack.client.send("GET", "/dead-letters").body
      #expect(failed.contains("formaction=\"/reviews/\(id.lowercase)/retry\"") && failed.contains("attempts_exhausted"))
      let visit = try await DashboardVisit(stack)
      #expect(try await visit.press("/reviews/\(id.lowercase)/retry").body == "Retried as attempt 2.")
      #expect(try await stack.client.send("GET", "/dead-letters").body.contains("attempt 2"))
    }
    try await withServerStack { stack in
      let reply = try await stack.client.send("GET", "/dead-letters")
      #expect(reply.status == 200 && reply.body.contains("The broker cannot be reached"))
    }
  }

  @Test("a button of the page deletes one dead letter, and leaves the others and the reviews as they are")
  func deleteDeadLetter() async throws {
    let letters = ["m-1", "m-2"].map { (id: String) in
      DeadLetter(AMQPDelivery(body: Array("no ticket \(id)".utf8), messageID: id))
    }
    try await withServerStack(
      queue: QueueFigures(name: "q", ready: 0, consumers: 1, dead: 2), deadLetters: letters,
      readToken: Secret("the-token-of-those-who-read")
    ) { stack in
      let visit = try await DashboardVisit(stack)
      #expect(try await stack.client.send("GET", "/dead-letters").body.contains("value=\"m-1\""))
      let deleted = try await visit.press("/dead-letters/delete", subject: "m-1")
      #expect(deleted.body == "Deleted; its review stays as it is.")
      let page = try await stack.client.send("GET", "/dead-letters").body
      #expect(!page.contains("no ticket m-1") && page.contains("no ticket m-2"))
      #expect(try await visit.press("/dead-letters/delete", subject: "m-1").status == 404)
      let reader = try await DashboardVisit(stack, token: "the-token-of-those-who-read")
      #expect(try await reader.press("/dead-letters/delete", subject: "m-2").status == 403)
    }
  }

  @Test("the broker's absence is the worst there is, and the rest goes on")
  func brokerAway() async throws {
    try await withServerStack { stack in
      _ = try await stack.submit("abcdef1")
      let page = try await stack.client.send("GET", "/")
      #expect(page.status == 200)
      #expect(page.body.contains("The broker cannot be reached"))
    }
  }

  @Test("what was dispatched and what failed within the hour stands in the charts and the table of failures")
  func history() async throws {
    try await withServerStack(queue: QueueFigures(name: "q", ready: 0, consumers: 1, dead: 0)) { stack in
      for index in 0..<4 {
        let id = try await stack.submit("abcdef\(index)")
        let claims = try await stack.store.claim(limit: 1, ownerLimit: 9, by: Holder.ID())
        #expect(claims.map(\.reviewID) == [id])
        try await stack.run("UPDATE code_reviews SET dispatched_at = now() WHERE id = '\(id)'")
        if index == 3 { break }
        let status = index == 0 ? #""completed""# : #""failed","errorMessage":"<b>no</b> luck""#
        _ = try await stack.callback(id, "{\"status\":\(status)}")
      }
      let page = try await stack.client.send("GET", "/").body
      #expect(page.contains("4 in the last hour, at most 4 a minute") || page.contains("4 in the last hour"))
      #expect(page.contains("<code>agent_failed</code>"))
      #expect(page.contains("&lt;b&gt;no&lt;/b&gt; luck"))
      #expect(page.contains("Read the run&#39;s events at the worker"))
    }
  }

  @Test("a hostile title is text on every page")
  func hostile() async throws {
    try await withServerStack { stack in
      let id = try await stack.submit("abcdef1")
      // A row from before the database refused such an address.
      try await stack.run("ALTER TABLE code_reviews DISABLE TRIGGER code_reviews_named")
      try await stack.pool.query(
        PostgresStatement(
          unprepared: "UPDATE code_reviews SET pr_title = $1, pr_url = 'javascript:alert(3)', pr_author = $1"),
        [Self.title])
      for path in ["/reviews", "/reviews/\(id.lowercase)"] {
        let page = try await stack.client.send("GET", path).body
        #expect(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&quot;alert(2)"))
        #expect(!page.contains("<script>alert"))
        #expect(!page.contains("href=\"javascript:"))
      }
    }
  }

  @Test("buttons cancel, retry, pause and resume, each only from our own page")
  func buttons() async throws {
    try await withServerStack { stack in
      let id = try await stack.submit("abcdef1")
      let visit = try await DashboardVisit(stack)
      let path = "/reviews/\(id.lowercase)"
      let foreign = try await stack.client.send(
        "POST", "\(path)/cancel", headers: [("Cookie", visit.cookie), ("Sec-Fetch-Site", "cross-site")],
        body: Array("csrf=\(visit.csrf)".utf8))
      #expect(foreign.status == 403)
      let bare = try await stack.client.send(
        "POST", "\(path)/cancel", headers: [("Cookie", visit.cookie), ("Sec-Fetch-Site", "same-origin")], body: [])
      #expect(bare.status == 403)
      #expect(try await stack.store.review(id)?.status == .pending)

      let cancelled = try await visit.press("\(path)/cancel")
      #expect(cancelled.status == 200)
      #expect(cancelled.body == "Cancelled.")
      #expect(try await stack.store.review(id)?.status == .cancelled)
      #expect(try await visit.press("\(path)/cancel").status == 409)
      #expect(try await visit.press("\(path)/retry").body == "Retried as attempt 2.")
      #expect(try await visit.press("/reviews/\(UUID())/retry").status == 404)

      let owner = Owner(type: .org, id: "acme")
      #expect(try await visit.press("/owners/pause", subject: "org:acme").status == 200)
      #expect(try await stack.store.load(of: owner, ownerLimit: 1)?.isPaused == true)
      #expect(try await visit.press("/owners/resume", subject: "org:acme").status == 200)
      #expect(try await stack.store.load(of: owner, ownerLimit: 1)?.isPaused == false)
      #expect(try await visit.press("/owners/resume", subject: "org:unknown").status == 404)
      // Without the script a button leads back to its page.
      let plain = try await visit.press("/owners/pause", subject: "org:acme", headers: [("Accept", "text/html")])
      #expect(plain.status == 200 || plain.headers["location"] == "/")
    }
  }

  @Test("the list is filtered, in pages, and names what is wrong with a filter")
  func list() async throws {
    try await withServerStack { stack in
      var ids: [UUID] = []
      for index in 0..<60 { ids.append(try await stack.submit("abcdef\(1_000 + index)")) }
      _ = try await stack.store.cancel(ids[0])
      let first = try await stack.client.send("GET", "/reviews").body
      #expect(first.contains(ids[59].lowercase) && !first.contains(ids[5].lowercase))
      let next = try #require(first.firstMatch(of: /rel="next" href="([^"]+)"/))
      let second = try await stack.client.send("GET", String(next.1.replacing("&amp;", with: "&"))).body
      #expect(second.contains(ids[5].lowercase) && !second.contains(ids[59].lowercase))
      for status in ["pending", "cancelled"] {
        let page = try await stack.client.send("GET", "/reviews?status=\(status)").body
        #expect(page.contains(ids[0].lowercase) == (status == "cancelled"))
      }
      let owner = try await stack.client.send("GET", "/reviews?owner=org:acme").body
      #expect(owner.contains("formaction=\"/owners/pause\""))
      let wrong = try await stack.client.send("GET", "/reviews?status=open&owner=acme")
      #expect(wrong.status == 400)
      #expect(wrong.headers["content-type"] == "text/html; charset=utf-8")
      #expect(wrong.body.contains("owner: expected user:ID or org:ID"))
    }
  }

  @Test(
    "a review's page has its transitions and its run's events; a worker that hangs costs it its time-out and no more")
  func review() async throws {
    let worker = try await ScriptedWorker()
    let client = try WorkerClient(
      baseURL: worker.url, token: Secret("w0rker"), timeout: .seconds(2), connectionMax: 4, logger: ServerStack.silent
    )
    try await withServerStack(worker: client) { stack in
      let id = try await stack.submit("abcdef1")
      let path = "/reviews/\(id.lowercase)"
      #expect(try await stack.client.send("GET", path).body.contains("It has not been handed to a worker"))
      _ = try await stack.store.claim(limit: 1, ownerLimit: 1, by: Holder.ID())
      _ = try await stack.callback(id, #"{"status":"running","sessionId":"s1"}"#)
      #expect(try await stack.client.send("GET", path).body.contains("no events are kept"))
      worker.events = .known([
        RunEvent(
          timestamp: Timestamp(microseconds: 1_795_000_000_000_000), eventType: "note", message: "<i>reading</i>")
      ])
      let page = try await stack.client.send("GET", path).body
      #expect(page.contains("&lt;i&gt;reading&lt;/i&gt;"))
      #expect(page.contains("<span class=\"status running\">running</span>"))
      #expect(page.contains("submitted") && page.contains("claimed"))
      worker.events = .hangs
      let hanging = try await stack.client.send("GET", path)
      #expect(hanging.status == 200)
      #expect(hanging.body.contains("They cannot be had now"))
      #expect(try await stack.client.send("GET", "/reviews/\(UUID())").status == 404)
    }
    await worker.stop()
  }
}
