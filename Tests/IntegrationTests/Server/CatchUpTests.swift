import BatonServer
import Foundation
import Platforms
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Sandbox
import Support
import Testing

@Suite("Catch-up", .timeLimit(.minutes(5)))
struct CatchUpTests {
  @Test("an outage with 500 pushes in it loses none")
  func outage() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub()
      await test.github.deliver("pull_request", test.push(1, sha: test.sha(1)))
      #expect(try await test.stack.count("code_reviews") == 1)
      // What was delivered is not repeated.
      #expect(try await test.pass().redelivered == 0)
      test.isDown.set(true)
      for number in 2...501 { await test.github.deliver("pull_request", test.push(number, sha: test.sha(number))) }
      // Still down: asked for, failed again, and not forgotten.
      var counts = try await test.pass()
      #expect(counts.redelivered > 0)
      #expect(try await test.stack.count("code_reviews") == 1)
      test.isDown.set(false)
      for _ in 0..<4 where try await test.stack.count("code_reviews") < 501 { counts = try await test.pass() }
      #expect(try await test.stack.count("code_reviews") == 501)
      #expect(try await test.stack.count("(SELECT DISTINCT pr_number FROM code_reviews) n") == 501)
      #expect(try await test.stack.store.counts().caughtUp["redelivered"] ?? 0 >= 500)
    }
  }

  @Test("what was refused for the payload's own sake is repeated once, other events never")
  func refused() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub()
      test.isDown.set(true)
      await test.github.deliver("push", "{}")
      await test.github.deliver("pull_request", #"{"action":"opened","installation":{"id":1}}"#)
      test.isDown.set(false)
      for _ in 0..<3 { _ = try await test.pass() }
      #expect(test.github.deliveries.filter { $0.event == "push" }.count == 1)
      #expect(test.github.deliveries.filter { $0.event == "pull_request" }.count == 2)
    }
  }

  @Test("failed deliveries are repeated in the order in which they happened, over all pages")
  func oldestFirst() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub()
      test.isDown.set(true)
      // More than one page, and none of them says when it happened.
      for action in ["suspend", "unsuspend"] {
        await test.github.deliver(
          "installation",
          #"{"action":"\#(action)","installation":{"id":1,"account":{"login":"octo"}},"sender":{"login":"alice"}}"#)
      }
      for number in 1...250 { await test.github.deliver("pull_request", test.push(number, sha: test.sha(number))) }
      let failed = test.github.deliveries.map(\.guid)
      test.isDown.set(false)
      let counts = try await test.pass()
      #expect(counts.redelivered == 252)
      #expect(test.github.deliveries.filter(\.isRedelivery).map(\.guid) == failed)
      #expect(try await test.stack.count("platform_integrations WHERE revoked_at IS NULL") == 1)
      #expect(try await test.stack.count("code_reviews WHERE status = 'pending'") == 250)
      #expect(try await test.pass().redelivered == 0)
    }
  }

  @Test("repeating goes on where it ended, in another process too")
  func goesOn() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub()
      test.isDown.set(true)
      for number in 1...5 { await test.github.deliver("pull_request", test.push(number, sha: test.sha(number))) }
      test.isDown.set(false)
      // As it is left after the first three of the list's beginning.
      _ = try await test.stack.store.planCatchUp(hasApp: true)
      let third = test.github.deliveries[2].deliveredAt
      try await test.stack.run(
        """
        UPDATE baton_catch_up SET position = 'done \(third * 1_000_000 + 1_000_000)', begun_at = now() + interval '1 min'
         WHERE kind = 'deliveries'
        """)
      #expect(try await test.pass().redelivered == 0)
      #expect(try await test.stack.count("baton_catch_up WHERE position IS NULL AND kind = 'deliveries'") == 1)
    }
  }

  @Test("open pull requests without a review are found, in each installation, and once")
  func sweep() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub()
      await test.github.deliver("pull_request", test.push(1, sha: test.sha(1)))
      test.github.setOpenPullRequests(
        [
          test.pull(1, sha: test.sha(1)), test.pull(2, sha: test.sha(2)),
          test.pull(3, sha: test.sha(3), draft: true),
        ], of: "acme/shop")
      test.github.setOpenPullRequests([test.pull(7, sha: test.sha(7), repository: "acme/other")], of: "acme/other")
      #expect(try await test.pass().unreviewed == 3)
      let intake = WebhookIntake(store: test.stack.store, logger: ServerStack.silent)
      try await test.stack.run("UPDATE webhook_deliveries SET due_at = now() WHERE processed_at IS NULL")
      try await intake.processDue()
      #expect(try await test.stack.count("code_reviews") == 3)
      #expect(try await test.stack.count("webhook_deliveries WHERE outcome = 'the pull request is a draft'") == 1)
      // Judged, the draft too: nothing is found again.
      try await test.stack.run("UPDATE baton_catch_up SET due_at = now()")
      #expect(try await test.pass().unreviewed == 0)
      #expect(try await test.stack.count("baton_catch_up WHERE finished_at IS NULL") == 0)
    }
  }

  @Test("a review that ended because it was not wanted, and an event that says nothing of the commit, hide nothing")
  func missedChanges() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub()
      let (old, new) = (test.sha(1), test.sha(2))
      // Forced back, reopened, ready again: each was the event that did not come.
      await test.github.deliver("pull_request", test.push(1, sha: old))
      await test.github.deliver(
        "pull_request", test.event("synchronize", test.pull(1, sha: new, at: "2026-01-01T10:00:05Z")))
      await test.github.deliver("pull_request", test.push(2, sha: old))
      let closed = test.pull(2, sha: old, at: "2026-01-01T10:00:05Z", state: "closed")
      await test.github.deliver("pull_request", test.event("closed", closed))
      await test.github.deliver("pull_request", test.event("opened", test.pull(3, sha: old, draft: true)))
      // A label says which commit the pull request is at, and no more.
      await test.github.deliver("pull_request", test.event("labeled", test.pull(4, sha: new)))
      #expect(try await test.stack.count("code_reviews WHERE status = 'pending'") == 1)
      let time = "2026-01-01T10:00:09Z"
      test.github.setOpenPullRequests(
        [
          test.pull(1, sha: old, at: time), test.pull(2, sha: old, at: time), test.pull(3, sha: old, at: time),
          test.pull(4, sha: new, at: time),
        ], of: "acme/shop")
      #expect(try await test.pass().unreviewed == 4)
      try await test.judge()
      let live = try await test.stack.reviews().filter { $0.status == .pending }
      #expect(live.map { "\($0.prNumber) \($0.headSha == old)" }.sorted() == ["1 true", "2 true", "3 true", "4 false"])
      #expect(try await test.pass().unreviewed == 0)
    }
  }

  @Test("a look goes back to the one before, and the first one after an upgrade three days")
  func bounds() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub()
      func text(_ ago: Duration) async throws -> String {
        "\(try await test.stack.store.now().moved(by: .zero - ago))"
      }
      // As the upgrade leaves an installation that is known.
      try await test.stack.run(
        """
        INSERT INTO baton_catch_up (kind, integration_id, since)
        SELECT 'installation', id, now() - interval '3 days' FROM platform_integrations
        """)
      test.github.setOpenPullRequests(
        [
          test.pull(1, sha: test.sha(1), at: try await text(.seconds(3_600))),
          test.pull(2, sha: test.sha(2), at: try await text(.seconds(5 * 86_400))),
        ], of: "acme/shop")
      #expect(try await test.pass().unreviewed == 1)
      try await test.judge()
      #expect(try await test.stack.reviews().map(\.prNumber) == [1])
      // The look is through: the next one has a shorter way.
      #expect(try await test.stack.count("baton_catch_up WHERE kind = 'installation' AND done_up_to IS NOT NULL") == 1)
      test.github.setOpenPullRequests(
        [
          test.pull(3, sha: test.sha(3), at: try await text(.zero)),
          test.pull(4, sha: test.sha(4), at: try await text(.seconds(2 * 86_400))),
        ], of: "acme/shop")
      #expect(try await test.pass().unreviewed == 1)
    }
  }

  @Test("Re-run shows a merge group's verdict again, and asks for the review of an excluded pull request")
  func reruns() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub(config: #"{"gate_threshold":"all","skip_title_words":["t"]}"#)
      let tasks = PlatformTasks(store: test.stack.store, questions: test.questions, logger: ServerStack.silent)
      test.github.setPermission("write", of: "alice")
      func rerun(_ event: String, _ check: String) async throws {
        await test.github.deliver(
          event,
          """
          {"action":"rerequested","\(event)":\(check),"repository":{"id":9,"full_name":"acme/shop"},
           "installation":{"id":1},"sender":{"login":"alice"}}
          """)
        try await tasks.deliverDue()
      }
      let branch = "gh-readonly-queue/main/pr-1-\(test.sha(5))"
      try await rerun(
        "check_run",
        """
        {"external_id":"merge-group/\(test.sha(99))","head_sha":"\(test.sha(99))","check_suite":{"head_branch":"\(branch)"},
         "app":{"id":5}}
        """)
      try await rerun("check_suite", #"{"head_sha":"\#(test.sha(98))","head_branch":"\#(branch)","app":{"id":5}}"#)
      #expect(test.github.feedback.compactMap(\.sha).sorted() == [test.sha(98), test.sha(99)])
      #expect(try await test.stack.count("code_reviews") == 0)
      try await rerun(
        "check_run",
        #"{"external_id":"excluded/acme/shop/17/\#(test.sha(1))","head_sha":"\#(test.sha(1))","app":{"id":5}}"#)
      #expect(try await test.stack.reviews().map(\.prNumber) == [17])
    }
  }

  @Test("a rate limit ends a look until its reset, and keeps no other from its turn")
  func rateLimit() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub()
      test.github.setOpenPullRequests([test.pull(2, sha: test.sha(2))], of: "acme/shop")
      test.github.add(
        .rateLimit(route: .githubPulls, resetAt: Int(Date().timeIntervalSince1970) + 600, times: 1))
      let counts = try await test.pass()
      #expect(counts.failed >= 1)
      #expect(counts.unreviewed == 0)
      #expect(
        try await test.stack.count(
          "baton_catch_up WHERE kind = 'installation' AND due_at > now() + interval '5 minutes'")
          == 1)
    }
  }

  @Test("a project's number that is none is not noted, and one that was noted stops no other look")
  func unreadableProject() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub()
      let id = try await test.stack.addGitLab()
      let digits = "99999999999999999999"
      for number in [digits, "\"\(digits)\"", "\"x\"", "null"] {
        try await test.stack.run(
          """
          INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, integration_id, processed_at)
          VALUES ('gitlab', '\(number)', 'Push Hook', '{"project":{"id":\(number)}}', '\(id)', now())
          """)
      }
      #expect(try await test.stack.count("baton_catch_up WHERE kind = 'project'") == 0)
      try await test.stack.run(
        """
        INSERT INTO baton_catch_up (kind, integration_id, subject, due_at)
        VALUES ('project', '\(id)', '\(digits)', now() - interval '1 day')
        """)
      test.github.setOpenPullRequests([test.pull(1, sha: test.sha(1))], of: "acme/shop")
      #expect(try await test.pass().unreviewed == 1)
      #expect(try await test.stack.count("baton_catch_up WHERE due_at <= now()") == 0)
    }
  }

  @Test("invented projects keep no other from their turn: of an integration at most 200 wait for their first look")
  func manyProjects() async throws {
    try await CaughtUp.run { test in
      let id = try await test.stack.addGitLab()
      func add(_ projects: ClosedRange<Int>) async throws {
        try await test.stack.run(
          """
          INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, integration_id)
          SELECT 'gitlab', 'd' || g, 'Push Hook', jsonb_build_object('project', jsonb_build_object('id', g)), '\(id)'
            FROM generate_series(\(projects.lowerBound), \(projects.upperBound)) g
          """)
      }
      func count(_ condition: String = "true") async throws -> Int64 {
        try await test.stack.count("baton_catch_up WHERE kind = 'project' AND \(condition)")
      }
      try await add(1...300)
      #expect(try await count() == 200)
      // One that was looked through takes no place, and one that GitLab does not show gives up its own.
      try await test.stack.run("UPDATE baton_catch_up SET finished_at = now() WHERE subject = '1'")
      try await test.stack.run("UPDATE baton_catch_up SET last_error = 'it answered 404' WHERE subject = '2'")
      try await add(301...303)
      #expect(try await count() == 201)
      #expect(try await count("subject IN ('1', '301', '302')") == 3)
      #expect(try await count("subject IN ('2', '303')") == 0)
    }
  }

  @Test("a delivery to another owner's integration hides no commit")
  func foreignDelivery() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub()
      let other = UUID()
      try await test.stack.run(
        """
        INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id)
        VALUES ('\(other)', 'org', 'other', 'github', '2')
        """)
      for (name, processed) in [("judged", "now()"), ("waiting", "NULL")] {
        try await test.stack.run(
          """
          INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, integration_id, due_at, processed_at, outcome,
                                          pr_updated_at)
          VALUES ('github', '\(name)', 'pull_request',
                  '{"repository":{"full_name":"acme/shop"},"pull_request":{"number":1,"head":{"sha":"\(test.sha(1))"}}}',
                  '\(other)', now() + interval '1 hour', \(processed), 'reviews are not enabled for org:other', 'infinity')
          """)
      }
      test.github.setOpenPullRequests([test.pull(1, sha: test.sha(1))], of: "acme/shop")
      #expect(try await test.pass().unreviewed == 1)
      #expect(try await test.pass().unreviewed == 0)
    }
  }

  @Test("a suspended installation is not looked at, and what it missed is found when it is back")
  func suspended() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub()
      await test.github.deliver("pull_request", test.push(1, sha: test.sha(1)))
      let event = #"{"action":"ACTION","installation":{"id":1},"sender":{"login":"alice"}}"#
      await test.github.deliver("installation", event.replacing("ACTION", with: "suspend"))
      test.github.setOpenPullRequests([test.pull(1, sha: test.sha(1))], of: "acme/shop")
      #expect(try await test.pass().unreviewed == 0)
      await test.github.deliver("installation", event.replacing("ACTION", with: "unsuspend"))
      #expect(try await test.pass().unreviewed == 1)
      try await test.stack.run("UPDATE webhook_deliveries SET due_at = now() WHERE processed_at IS NULL")
      try await WebhookIntake(store: test.stack.store, logger: ServerStack.silent).processDue()
      #expect(try await test.stack.states() == ["0000 pending 2 -"])
    }
  }

  @Test("of a repository with more than a thousand open pull requests none is left out, and a look goes on at its page")
  func manyOpen() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub()
      test.github.setOpenPullRequests((1...1_050).map { test.pull($0, sha: test.sha($0)) }, of: "acme/shop")
      #expect(try await test.pass().unreviewed == 1_050)
      // What was closed in the meantime has moved the list up by less than a page. Another repository begins with its first one.
      for (position, count) in [("1.0 11 acme/shop", 150), ("1.0 11 acme/other", 1_050), ("1.0", 1_050)] {
        try await test.stack.run("DELETE FROM webhook_deliveries")
        try await test.stack.run(
          """
          UPDATE baton_catch_up
             SET position = '\(position)', begun_at = now(), done_up_to = NULL, due_at = now(), last_error = NULL
           WHERE kind = 'installation'
          """)
        #expect(try await test.pass().unreviewed == count, "\(position)")
      }
      #expect(try await test.stack.count("baton_catch_up WHERE position IS NULL AND done_up_to IS NOT NULL") >= 1)
    }
  }

  @Test("a host that does not answer is asked a few times in a pass, and keeps no other from its turn")
  func silentHost() async throws {
    try await CaughtUp.run(callTimeout: .seconds(1)) { test in
      let silent = try ListeningAddress()
      let id = try await test.stack.addGitLab()
      let token = try ServerStack.cipher.seal(Secret("glpat-x"), for: id)
      _ = try await test.stack.pool.query(
        PostgresStatement(
          unprepared: "UPDATE platform_integrations SET instance_url = $2, token_ciphertext = $3 WHERE id = $1"),
        [id, "http://127.0.0.1:\(silent.port)", token])
      try await test.stack.run(
        """
        INSERT INTO baton_catch_up (kind, integration_id, subject, due_at)
        SELECT 'project', '\(id.uuidString)', n::text, now() - interval '1 hour' FROM generate_series(1, 20) n
        """)
      try await test.stack.addGitHub()
      test.github.setOpenPullRequests([test.pull(1, sha: test.sha(1))], of: "acme/shop")
      let counts = try await test.pass()
      #expect(counts.unreviewed == 1)
      #expect(counts.failed == 3)
      // They do not come due again before what can be looked at.
      #expect(
        try await test.stack.count(
          "baton_catch_up WHERE last_error IS NOT NULL AND due_at > now() + interval '4 minutes'") == 3)
    }
  }

  @Test("the address of a project is one of the integration's own merge requests: its token goes there")
  func projectAddress() async throws {
    try await withServerStack { stack in
      let (first, second) = (try await stack.addGitLab(), try await stack.addGitLab())
      for (id, host, number) in [(first, "gitlab.com", 3), (second, "gitlab.example.com", 9)] {
        try await stack.run(
          """
          INSERT INTO code_reviews (owner_type, owner_id, platform, platform_integration_id, platform_project_id, repo_full_name,
                                    pr_number, pr_url, pr_title, pr_author, base_ref, head_ref, head_sha)
          VALUES ('org', 'acme', 'gitlab', '\(id.uuidString)', 7, 'acme/shop', \(number),
                  'https://\(host)/acme/shop/-/merge_requests/\(number)', 't', 'ada', 'main', 'f', '\(number)abc')
          """)
        try await stack.run(
          "INSERT INTO baton_catch_up (kind, integration_id, subject) VALUES ('project', '\(id.uuidString)', '7')")
      }
      for _ in 0..<2 {
        let look = try #require(try await stack.store.takeLook(hasApp: false))
        let host = look.integrationID == first ? "https://gitlab.com/" : "https://gitlab.example.com/"
        #expect(look.url?.hasPrefix(host) == true, "\(look.url ?? "")")
      }
    }
  }
}
