import BatonServer
import Foundation
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: many reviews at once")
struct ServerOperationTests {
  private func post(_ stack: ServerStack, _ operation: String, _ body: String) async throws -> HTTPReply {
    try await stack.client.send("POST", "/api/reviews/\(operation)", body: Array(body.utf8))
  }

  @Test("a filter retries what matches, after a dry run that changes nothing")
  func filter() async throws {
    try await withServerStack { stack in
      var ids: [UUID] = []
      for sha in ["abcdef1", "abcdef2", "abcdef3"] { ids.append(try await stack.submit(sha)) }
      try await stack.run(
        "UPDATE code_reviews SET status = 'failed', error_code = 'worker_lost' WHERE head_sha <> 'abcdef3'")
      let body = #"{"errorCode":"worker_lost","owner":"org:acme","since":"1h""#
      let dry = try await post(stack, "retry", body + #","dryRun":true}"#)
      #expect(dry.status == 200)
      #expect(dry.object["matched"] as? Int == 2 && dry.object["changed"] as? Int == 0)
      #expect(Set(dry.object["ids"] as? [String] ?? []) == Set(ids[..<2].map(\.lowercase)))
      #expect(try await stack.store.review(ids[0])?.status == .failed)
      #expect(try await post(stack, "retry", body + #","expected":3}"#).status == 409)
      #expect(try await stack.store.review(ids[0])?.status == .failed)
      let done = try await post(stack, "retry", body + #","expected":2}"#)
      #expect(done.object["changed"] as? Int == 2 && done.object["remaining"] as? Int == 0)
      #expect(try await stack.store.review(ids[0])?.attempt == 2)
      let cancelled = try await post(stack, "cancel", #"{"repo":"acme/shop","reason":"moved"}"#)
      #expect(cancelled.object["changed"] as? Int == 3)
      #expect(try await stack.store.review(ids[2])?.errorMessage == "moved")
    }
  }

  @Test("ids may be cut to their start; one that names nothing, or several, changes nothing at all")
  func ids() async throws {
    try await withServerStack { stack in
      let known = [
        "abcd1234-0000-4000-8000-000000000001", "abcd1234-0000-4000-8000-000000000002",
        "00ff0000-0000-4000-8000-000000000003",
      ]
      for (index, id) in known.enumerated() {
        _ = try await stack.submit("abcdef\(index)")
        try await stack.run("UPDATE code_reviews SET id = '\(id)' WHERE head_sha = 'abcdef\(index)'")
      }
      #expect(try await stack.client.send("GET", "/api/reviews/00ff").object["id"] as? String == known[2])
      #expect(try await stack.client.send("GET", "/reviews/00FF").status == 200)
      #expect(try await stack.client.send("POST", "/api/reviews/00ff0000/cancel").status == 202)
      let several = try await stack.client.send("GET", "/api/reviews/abcd1234")
      #expect(several.status == 409)
      #expect(known[..<2].allSatisfy { several.body.contains($0) })
      #expect(try await stack.client.send("GET", "/api/reviews/ffff").status == 404)
      #expect(try await stack.client.send("GET", "/api/reviews/00f").status == 404)
      #expect(try await post(stack, "cancel", #"{"ids":["\#(known[0])","abcd"]}"#).status == 409)
      #expect(try await post(stack, "cancel", #"{"ids":["\#(known[0])","ffff"]}"#).status == 404)
      #expect(try await stack.client.send("GET", "/api/reviews?status=pending").reviews.count == 2)
      let done = try await post(stack, "cancel", #"{"ids":["\#(known[0])","00ff"]}"#)
      #expect(done.object["changed"] as? Int == 1 && done.object["skipped"] as? Int == 1)
      // One that is named twice, in whatever way, is one.
      let twice = #"{"ids":["\#(known[2])","00FF","00ff0000"]"#
      let dry = try await post(stack, "retry", twice + #","dryRun":true}"#)
      #expect(dry.object["matched"] as? Int == 1 && dry.object["ids"] as? [String] == [known[2]])
      #expect(try await post(stack, "retry", twice + #","expected":3}"#).status == 409)
      let retried = try await post(stack, "retry", twice + #","expected":1}"#)
      #expect(retried.object["matched"] as? Int == 1 && retried.object["changed"] as? Int == 1)
      #expect(retried.object["skipped"] as? Int == 0, "\(retried.body)")
    }
  }

  @Test("a review that another transaction has locked is counted, and the others are changed")
  func locked() async throws {
    try await withServerStack { stack in
      var ids: [UUID] = []
      for sha in ["abcdef1", "abcdef2", "abcdef3"] { ids.append(try await stack.submit(sha)) }
      let person = try await PostgresConnection.connect(testConfiguration(stack.conninfo), logger: .postgresTests)
      try await person.withTransaction { person in
        try await person.query(
          PostgresStatement(unprepared: "SELECT FROM code_reviews WHERE id <> '\(ids[1])' FOR UPDATE"))
        let reply = try await post(stack, "cancel", #"{"repo":"acme/shop"}"#)
        #expect(reply.status == 200, "\(reply.body)")
        #expect(reply.object["ids"] as? [String] == [ids[1].lowercase] && reply.object["locked"] as? Int == 2)
        #expect(reply.object["matched"] as? Int == 3 && reply.object["skipped"] as? Int == 0)
      }
      await person.close()
    }
  }

  @Test("what is not asked for clearly is refused, with every fault named, and nothing is changed")
  func faults() async throws {
    try await withServerStack { stack in
      let id = try await stack.submit("abcdef1")
      for (body, words) in [
        ("{}", ["give ids"]), (#"{"status":"completed"}"#, ["status"]),
        (#"{"ids":["x"],"owner":"acme"}"#, ["ids", "owner"]),
        (#"{"ids":["00ff"],"repo":"a/b"}"#, ["both"]), (#"{"sinse":"2h","since":"soon"}"#, ["sinse", "since"]),
        (#"{"repo":"a/b","dryRun":"yes","expected":-1}"#, ["dryRun", "expected"]),
      ] {
        let reply = try await post(stack, "cancel", body)
        #expect(reply.status == 422, "\(body)")
        for word in words { #expect(reply.body.contains(word), "\(body): \(reply.body)") }
      }
      #expect(try await post(stack, "cancel", "[]").status == 400)
      #expect(try await stack.client.send("GET", "/api/reviews/cancel").status == 405)
      #expect(try await stack.store.review(id)?.status == .pending)
    }
  }

  @Test("a list is searched by number, start of an id and words, and filtered by code and time")
  func search() async throws {
    try await withServerStack { stack in
      let id = try await stack.submit("abcdef1")
      try await stack.run("UPDATE code_reviews SET status = 'failed', error_code = 'worker_lost'")
      for (query, count) in [
        ("search=7", 1), ("search=%237", 1), ("search=8", 0), ("search=faster", 1), ("search=worker_lost", 1),
        ("search=\(id.lowercase.prefix(6))", 1), ("errorCode=worker_lost", 1), ("errorCode=agent_failed", 0),
        ("since=1h", 1), ("until=1h", 0), ("since=2020-01-01T00:00:00Z&until=2020-01-02", 0),
      ] {
        let reply = try await stack.client.send("GET", "/api/reviews?\(query)")
        #expect(reply.status == 200 && reply.reviews.count == count, "\(query)")
        let page = try await stack.client.send("GET", "/reviews?\(query)")
        #expect(page.status == 200 && page.body.contains(id.lowercase) == (count == 1), "\(query)")
      }
      #expect(try await stack.client.send("GET", "/api/reviews?since=soon").status == 400)
    }
  }

  @Test("a submitted review may be available later; a time that cannot be read is refused")
  func availableAt() async throws {
    try await withServerStack { stack in
      func submit(_ time: String, _ sha: String) async throws -> HTTPReply {
        let body = String(decoding: ServerStack.review(sha), as: UTF8.self)
          .replacing(#""priority":3"#, with: #""priority":3,"availableAt":\#(time)"#)
        return try await stack.client.send("POST", "/api/reviews", body: Array(body.utf8))
      }
      let reply = try await submit(#""2040-05-06T07:08:09+02:00""#, "abcdef1")
      #expect(reply.status == 201)
      let row = try await stack.client.send("GET", "/api/reviews/\(reply.object["id"] as? String ?? "")")
      #expect(row.object["availableAt"] as? String == "2040-05-06T05:08:09.000000Z")
      for time in [#""tomorrow""#, "7", "{}"] {
        let refused = try await submit(time, "abcdef2")
        #expect(refused.status == 422 && refused.body.contains("availableAt"), "\(time)")
      }
      #expect(try await submit("null", "abcdef3").status == 201)
    }
  }

  @Test("the dashboard's list has a button for all that its filter matches, and none for what a search finds")
  func listButtons() async throws {
    try await withServerStack { stack in
      let ids = [try await stack.submit("abcdef1"), try await stack.submit("abcdef2")]
      try await stack.run(
        "UPDATE code_reviews SET status = 'failed', error_code = 'worker_lost' WHERE head_sha = 'abcdef1'")
      try await stack.run(
        "UPDATE code_reviews SET status = 'failed', error_code = 'agent_failed' WHERE head_sha = 'abcdef2'")
      let visit = try await DashboardVisit(stack)
      let page = try await stack.client.send(
        "GET", "/reviews?status=failed&errorCode=worker_lost", headers: [("Cookie", visit.cookie)])
      #expect(
        page.body.contains("formaction=\"/reviews/retry\"") && !page.body.contains("formaction=\"/reviews/cancel\""))
      let searched = try await stack.client.send(
        "GET", "/reviews?status=failed&search=faster", headers: [("Cookie", visit.cookie)])
      #expect(page.body.contains("Retry all that match"))
      #expect(searched.body.contains("Retry the chosen") && !searched.body.contains("all that match"))
      let done = try await visit.press("/reviews/retry", subject: "status%3Dfailed%26errorCode%3Dworker_lost")
      #expect(done.body == "1 review retried.")
      #expect(try await stack.store.review(ids[0])?.status == .pending)
      #expect(try await stack.store.review(ids[1])?.status == .failed)
      #expect(try await visit.press("/reviews/retry", subject: "").status == 422)
      #expect(try await visit.press("/reviews/retry", subject: "status%3Dcompleted").status == 422)
      #expect(try await visit.press("/reviews/cancel", subject: "status%3Dfailed").status == 422)
    }
  }

  @Test("the button for all that match names their number, and changes nothing if another number matches by then")
  func wholeList() async throws {
    try await withServerStack { stack in
      var ids: [UUID] = []
      for sha in ["abcdef1", "abcdef2"] { ids.append(try await stack.submit(sha)) }
      let visit = try await DashboardVisit(stack)
      func button(_ operation: String) async throws -> (confirm: String, subject: String) {
        let page = try await stack.client.send(
          "GET", "/reviews?status=pending&owner=org:acme", headers: [("Cookie", visit.cookie)]
        ).body
        let found = try #require(
          page.firstMatch(
            of: try Regex(
              "formaction=\"/reviews/\(operation)\" name=\"subject\" value=\"([^\"]+)\" data-confirm=\"([^\"]+)\">[A-Z][a-z]+ all",
              as: (Substring, Substring, Substring).self)), "\(page)")
        let subject = found.1.replacing("&amp;", with: "&")
        return (
          String(found.2),
          String(subject.replacing("%", with: "%25").replacing("&", with: "%26").replacing("=", with: "%3D"))
        )
      }
      let cancel = try await button("cancel")
      #expect(cancel.confirm.contains("2 pending reviews"), "\(cancel)")
      ids.append(try await stack.submit("abcdef3"))
      let refused = try await visit.press("/reviews/cancel", subject: cancel.subject)
      #expect(refused.status == 409 && refused.body.contains("3") && refused.body.contains("nothing was changed"))
      // Without the script a question about the very reviews follows.
      let question = try await visit.submit("/reviews/cancel", "subject=\(cancel.subject)")
      #expect(question.status == 200 && question.body.contains("<h1>Cancel 3 reviews?</h1>"))
      for id in ids { #expect(try await stack.store.review(id)?.status == .pending) }

      // What can be released are some of those that match; it is the list's number that is held.
      try await stack.run(
        "UPDATE code_reviews SET available_at = now() + interval '1 hour' WHERE head_sha <> 'abcdef3'")
      let release = try await button("release")
      #expect(release.confirm.contains("3 pending reviews"), "\(release)")
      let released = try await visit.press("/reviews/release", subject: release.subject)
      #expect(released.body == "2 reviews released.", "\(released.body)")
      let again = try await button("cancel")
      #expect(try await visit.press("/reviews/cancel", subject: again.subject).body == "3 reviews cancelled.")
      let wrong = try await visit.press("/reviews/retry", subject: "status%3Dcancelled%26expected%3Dmany")
      #expect(wrong.status == 400 || wrong.status == 422, "\(wrong.body)")
    }
  }

  @Test("the page refuses a whole list that has as many reviews as the API refuses")
  func wholeListBound() async throws {
    try await withServerStack { stack in
      let id = try await stack.submit("abcdef1")
      // Triggers would take most of the time.
      try await stack.run("ALTER TABLE code_reviews DISABLE TRIGGER USER")
      for quarter in 1...4 {
        let last = quarter * ReviewStore.matchCountMax / 4
        try await stack.run(
          """
          INSERT INTO code_reviews
          SELECT (jsonb_populate_record(r, jsonb_build_object('id', gen_random_uuid(), 'head_sha', lpad(to_hex(n), 40, '0')))).*
            FROM code_reviews r, generate_series(\(last - ReviewStore.matchCountMax / 4 + 1), \(last)) n
           WHERE r.id = '\(id)'
          """)
      }
      let visit = try await DashboardVisit(stack)
      let page = try await stack.client.send(
        "GET", "/reviews?status=pending", headers: [("Cookie", visit.cookie)]
      ).body
      #expect(page.contains("more than 1,000 pending reviews"))
      for accept in ["text/plain", "text/html"] {
        let refused =
          accept == "text/html"
          ? try await visit.submit("/reviews/cancel", "subject=status%3Dpending")
          : try await visit.press("/reviews/cancel", subject: "status%3Dpending")
        #expect(refused.status == 409 && refused.body.contains("narrow the filter"), "\(refused.status)")
      }
      #expect(try await stack.store.review(id)?.status == .pending)
    }
  }

  @Test("chosen reviews are changed, and no others; without the script after a question about just these")
  func chosen() async throws {
    try await withServerStack { stack in
      var ids: [UUID] = []
      for sha in ["abcdef1", "abcdef2", "abcdef3"] { ids.append(try await stack.submit(sha)) }
      try await stack.run("UPDATE code_reviews SET status = 'failed' WHERE head_sha <> 'abcdef3'")
      let visit = try await DashboardVisit(stack)
      func page(_ path: String) async throws -> String {
        try await stack.client.send("GET", path, headers: [("Cookie", visit.cookie)]).body
      }
      let list = try await page("/reviews")
      for id in ids { #expect(list.contains("name=\"id\" value=\"\(id.lowercase)\"")) }
      let all = "value=\"\(ids.reversed().map(\.lowercase).joined(separator: ","))\" data-all=\"yes\""
      #expect(list.contains(all), "\(list)")
      #expect(
        list.contains("form=\"chosen\"") && list.contains("Retry the chosen") && list.contains("Cancel the chosen"))
      #expect(try await !page("/reviews?status=pending").contains("Retry the chosen"))

      let script = try await visit.press(
        "/reviews/retry", subject: "&id=\(ids[0].lowercase)&id=\(ids[2].lowercase)%2C\(ids[0].lowercase)")
      #expect(script.body == "1 review retried, 1 of another status by now.")
      #expect(try await stack.store.review(ids[0])?.attempt == 2)
      #expect(try await stack.store.review(ids[1])?.status == .failed)

      let question = try await visit.submit(
        "/reviews/cancel", "subject=&\(ids.map { "id=\($0.lowercase)" }.joined(separator: "&"))")
      #expect(question.status == 200 && question.body.contains("<h1>Cancel 2 reviews?</h1>"), "\(question.body)")
      #expect(question.body.contains("1 more") && !question.body.contains(ids[1].lowercase))
      #expect(try await stack.store.review(ids[0])?.status == .pending)
      let sent = try #require(question.body.firstMatch(of: /name="id" value="([^"]+)"/)?.1)
      let done = try await visit.submit("/reviews/cancel", "id=\(sent.replacing(",", with: "%2C"))&isConfirmed=yes")
      #expect(done.status == 303 && done.headers["location"] == "/reviews")
      #expect(try await stack.store.review(ids[0])?.status == .cancelled)
      #expect(try await stack.store.review(ids[2])?.status == .cancelled)
      #expect(try await stack.store.review(ids[1])?.status == .failed)

      // What a filter matches is asked about as well.
      let matching = try await visit.submit("/reviews/retry", "subject=status%3Dfailed")
      #expect(matching.body.contains("<h1>Retry 1 review?</h1>") && matching.body.contains(ids[1].lowercase))
      let none = try await visit.submit("/reviews/retry", "subject=&id=\(UUID())")
      #expect(none.body.contains("No review can be retried"))
      for fields in ["subject=", "subject=&id=", "id=x", "id=\(ids[1])%2C7"] {
        #expect(try await visit.submit("/reviews/retry", fields).status == 422, "\(fields)")
      }
      #expect(try await stack.store.review(ids[1])?.status == .failed)
    }
  }

  @Test("what waits for a time is released, by the API and by buttons; what is due is not offered, and refused")
  func release() async throws {
    try await withServerStack { stack in
      var ids: [UUID] = []
      for sha in ["abcdef1", "abcdef2", "abcdef3"] { ids.append(try await stack.submit(sha)) }
      try await stack.run(
        "UPDATE code_reviews SET available_at = now() + interval '1 hour', status_reason = 'rate limit' WHERE head_sha <> 'abcdef3'"
      )
      let visit = try await DashboardVisit(stack)
      func page(_ path: String) async throws -> String {
        try await stack.client.send("GET", path, headers: [("Cookie", visit.cookie)]).body
      }
      let (later, due) = ("/reviews/\(ids[0].lowercase)", "/reviews/\(ids[2].lowercase)")
      #expect(try await page(later).contains("formaction=\"\(later)/release\""))
      #expect(try await !page(due).contains("/release\""))
      #expect(try await page("/reviews?status=pending").contains("Release all that match"))
      let dry = try await post(stack, "release", #"{"owner":"org:acme","dryRun":true}"#)
      #expect(dry.object["matched"] as? Int == 2)
      #expect(try await stack.client.send("POST", "/api\(due)/release").status == 409)
      let one = try await stack.client.send("POST", "/api\(later)/release")
      #expect(one.status == 202 && one.object["attempt"] as? Int == 1)
      #expect(try await visit.press("/reviews/\(ids[1].lowercase)/release").body == "Released: it is due.")
      let again = try await visit.press("/reviews/\(ids[1].lowercase)/release")
      #expect(again.status == 409 && again.body.contains("due already"))
      #expect(try await !page("/reviews?status=pending").contains("Release"))
      #expect(try await stack.store.claim(limit: 9, ownerLimit: 9, by: Holder.ID()).count == 3)
      #expect(try await post(stack, "release", #"{"status":"queued"}"#).status == 422)
    }
  }

  @Test("reviews are listed in the order that is asked for, page by page, each once")
  func sorted() async throws {
    try await withServerStack { stack in
      for number in 1...9 { _ = try await stack.submit("abc\(number)") }
      try await stack.run(
        "UPDATE code_reviews SET available_at = now() - right(head_sha, 1)::int * interval '1 min'")
      try await stack.run(
        "UPDATE code_reviews SET priority = right(head_sha, 1)::int % 3 - 1, created_at = available_at"
      )
      try await stack.run(
        "UPDATE code_reviews SET available_at = 'infinity' WHERE head_sha = 'abc9'")
      func shas(_ query: String) async throws -> [String] {
        var (shas, cursor): ([String], String?) = ([], "")
        while let from = cursor, shas.count < 20 {
          let page = try await stack.client.send(
            "GET", "/api/reviews?limit=2&\(query)\(from.isEmpty ? "" : "&cursor=\(from)")")
          #expect(page.status == 200, "\(page.body)")
          shas += page.reviews.compactMap { $0["headSha"] as? String }
          cursor = page.object["nextCursor"] as? String
        }
        return shas.map { String($0.suffix(1)) }
      }
      #expect(try await shas("sort=created") == ["9", "8", "7", "6", "5", "4", "3", "2", "1"])
      #expect(try await shas("sort=-created") == ["1", "2", "3", "4", "5", "6", "7", "8", "9"])
      #expect(try await shas("sort=due") == ["8", "7", "6", "5", "4", "3", "2", "1"])
      let byPriority = try await shas("sort=priority")
      #expect(
        byPriority.map { (Int($0) ?? 0) % 3 } == [2, 2, 2, 1, 1, 1, 0, 0, 0]
          && Set(byPriority).count == 9)
      for number in [3, 1, 2] {
        try await stack.run(
          "UPDATE code_reviews SET status = 'cancelled' WHERE head_sha = 'abc\(number)'")
      }
      #expect(try await shas("sort=-ended") == ["2", "1", "3"])
      #expect(try await shas("sort=ended&status=cancelled") == ["3", "1", "2"])
      for wrong in ["sort=size", "sort=due&status=failed", "sort=ended&search=x"] {
        let reply = try await stack.client.send("GET", "/api/reviews?\(wrong)")
        #expect(reply.status == 400 && reply.body.contains("sort"), "\(wrong)")
      }
      let page = try await stack.client.send("GET", "/reviews?sort=-ended&status=cancelled").body
      #expect(page.contains("<option value=\"-ended\" selected=\"selected\">"))
    }
  }
}
