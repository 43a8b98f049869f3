import AsyncHTTPClient
import BatonServer
import CryptoExtras
import Foundation
import Platforms
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Sandbox
import Support
import Synchronization
import Testing

/// A server and a GitHub next to it, which delivers webhooks to it once each.
private struct CaughtUp: Sendable {
  let stack: ServerStack
  let github: FakePlatform
  let questions: PlatformQuestions
  let isDown = Flag()

  final class Flag: Sendable {
    private let value = Mutex(false)
    var isSet: Bool { value.withLock { $0 } }
    func set(_ isSet: Bool) { value.withLock { $0 = isSet } }
  }

  private static let key = try! _RSA.Signing.PrivateKey(keySize: .bits2048)

  var catchUp: CatchUp {
    CatchUp(store: stack.store, questions: questions, interval: .seconds(300), age: .zero, logger: ServerStack.silent)
  }

  /// Has the server judge what was stored.
  func judge() async throws {
    try await stack.run("UPDATE webhook_deliveries SET due_at = now() WHERE processed_at IS NULL")
    try await WebhookIntake(store: stack.store, logger: ServerStack.silent).processDue()
  }

  func pass() async throws -> CatchUpCounts { try await catchUp.runOnce(until: .now + .seconds(120)) }

  static func run(
    callTimeout: Duration = .seconds(10), _ body: @escaping @Sendable (CaughtUp) async throws -> Void
  ) async throws {
    try await withServerStack { stack in
      let (ports, port) = AsyncStream.makeStream(of: Int.self)
      let github = FakePlatform(logger: ServerStack.silent) { port.yield($0) }
      let client = PlatformAccess.makeHTTPClient(connectionMax: 4)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          defer { port.finish() }
          try await github.run()
        }
        var iterator = ports.makeAsyncIterator()
        guard let bound = await iterator.next() else { throw NoReply(request: "the fake GitHub") }
        let result: Swift.Result<Void, any Error>
        do {
          let access = try PlatformAccess(
            settings: PlatformSettings(
              githubAPIURL: "http://127.0.0.1:\(bound)", githubAppID: "5",
              githubPrivateKey: Secret(key.pemRepresentation), gitlabHosts: ["127.0.0.1"],
              encryptionKeys: [Array(repeating: 7, count: 32)], callTimeout: callTimeout),
            httpClient: client, integrationTokens: nil, logger: ServerStack.silent)
          let caughtUp = CaughtUp(stack: stack, github: github, questions: PlatformQuestions(access: access))
          github.setHook { [isDown = caughtUp.isDown] event, body in
            guard !isDown.isSet else { return 0 }
            return (try? await stack.client.send(.github(event: event, body)).status) ?? 0
          }
          try await body(caughtUp)
          result = .success(())
        } catch {
          result = .failure(error)
        }
        try await client.shutdown()
        group.cancelAll()
        while let ended = await group.nextResult() { _ = ended }
        try result.get()
      }
    }
  }

  func pull(
    _ number: Int, sha: String, repository: String = "acme/shop", draft: Bool = false,
    at time: String = "2026-01-01T10:00:00Z", state: String = "open"
  ) -> String {
    """
    {"number":\(number),"state":"\(state)","html_url":"https://github.com/\(repository)/pull/\(number)","title":"T","draft":\(draft),
     "updated_at":"\(time)","user":{"login":"ann","type":"User"},"labels":[],
     "base":{"ref":"main","sha":"b","repo":{"id":9,"full_name":"\(repository)"}},
     "head":{"ref":"fast","sha":"\(sha)","repo":{"id":9,"full_name":"\(repository)"}}}
    """
  }

  func push(_ number: Int, sha: String) -> String { event("opened", pull(number, sha: sha)) }

  func event(_ action: String, _ pull: String) -> String {
    """
    {"action":"\(action)","installation":{"id":1},"repository":{"id":9,"full_name":"acme/shop"},
     "pull_request":\(pull)}
    """
  }

  /// Adds checks that are to be shown at a GitLab.
  func addChecks(_ count: Int, atPort port: Int) async throws {
    let id = try await stack.addGitLab()
    let token = try ServerStack.cipher.seal(Secret("glpat-x"), for: id)
    _ = try await stack.pool.query(
      PostgresStatement(
        unprepared: "UPDATE platform_integrations SET instance_url = $2, token_ciphertext = $3 WHERE id = $1"),
      [id, "http://127.0.0.1:\(port)", token])
    let check =
      #"{"repository":"acme/shop","projectId":5,"url":"http://127.0.0.1:\#(port)/acme/shop/-/merge_requests/1","#
      + #""sha":"\#(sha(7))","conclusion":"neutral","title":"t","summary":"s","externalId":"x"}"#
    try await stack.run(
      """
      INSERT INTO baton_platform_tasks (kind, key, integration_id, payload, due_at)
      SELECT 'check', 'check ' || n, '\(id.uuidString)', '\(check)', now() - interval '1 minute'
        FROM generate_series(1, \(count)) n
      """)
  }

  func sha(_ number: Int) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 40 - digits.count) + digits
  }
}

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
        try await tasks.doDue()
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

  @Test("a person with write access gets the review that a comment asks for; others do not")
  func comment() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub(config: #"{"skip_authors":["*"]}"#)
      let tasks = PlatformTasks(store: test.stack.store, questions: test.questions, logger: ServerStack.silent)
      test.github.setPermission("write", of: "alice")
      for (id, login) in [(1, "mallory"), (2, "alice")] {
        await test.github.deliver(
          "issue_comment",
          """
          {"action":"created","issue":{"number":17,"state":"open","pull_request":{}},
           "comment":{"id":\(id),"body":"/review","user":{"login":"\(login)","type":"User"}},
           "repository":{"id":9,"full_name":"acme/shop"},"installation":{"id":1}}
          """)
        try await tasks.doDue()
        #expect(try await test.stack.count("code_reviews") == Int64(id - 1))
      }
      let id = try #require(try await test.stack.reviews().first?.id)
      #expect(try await test.stack.store.transitions(of: id).first?.actor == "github:alice")
      let about = WebhookFilter(repository: "acme/shop", number: 17)
      #expect(
        try await test.stack.store.webhooks(about, limit: 9).webhooks.map(\.result) == [
          "pending: \(id.lowercase), attempt 1", "github:mallory may not write to acme/shop",
        ])
    }
  }

  @Test("a task's outcome is noted with its end: neither stays without the other")
  func oneTransaction() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub(config: #"{"paths":["docs/**"]}"#)
      await test.github.deliver("pull_request", test.push(1, sha: test.sha(1)))
      func outcome() async throws -> String? {
        try await test.stack.store.webhooks(WebhookFilter(), limit: 1).webhooks.first?.outcome
      }
      let asked = try await outcome()
      let task = try #require(try await test.stack.store.takeTasks(limit: 1).first)
      try await test.stack.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$")
      try await test.stack.run(
        "CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON baton_platform_tasks FOR EACH ROW EXECUTE FUNCTION refuse()")
      await #expect(throws: PostgresError.self) { try await test.stack.store.endTask(task, outcome: "done") }
      await #expect(throws: PostgresError.self) {
        try await test.stack.store.failTask(task, error: "given up", retryAfter: nil)
      }
      try await test.stack.run("DROP FUNCTION refuse CASCADE")
      #expect(try await outcome() == asked)
      try await test.stack.store.endTask(task, outcome: "done")
      #expect(try await outcome() == "done")
      #expect(try await test.stack.count("baton_platform_tasks") == 0)
    }
  }

  @Test(
    "a task of a kind or with a payload that this version does not know is left to a newer one, and holds up no other")
  func unknownTasks() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub(config: #"{"paths":["docs/**"]}"#)
      for number in 1...3 {
        await test.github.deliver("pull_request", test.push(number, sha: test.sha(number)))
      }
      try await test.stack.run(
        "ALTER TABLE baton_platform_tasks DROP CONSTRAINT IF EXISTS baton_platform_tasks_kind_check")
      try await test.stack.run(
        """
        UPDATE baton_platform_tasks t
           SET kind = CASE n WHEN 1 THEN 'merge' ELSE kind END,
               payload = CASE n WHEN 2 THEN '{"file":"a"}' ELSE payload END
          FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM baton_platform_tasks) o
         WHERE o.id = t.id
        """)
      #expect(try await test.stack.store.takeTasks(limit: 9).count == 1)
      #expect(try await test.stack.count("baton_platform_tasks") == 3)
      try await test.stack.run("UPDATE baton_platform_tasks SET due_at = now(), integration_id = gen_random_uuid()")
      #expect(try await test.stack.store.takeTasks(limit: 9).isEmpty)
      #expect(try await test.stack.count("baton_platform_tasks") == 0)
    }
  }

  @Test("a merge group's check is shown, and an excluded pull request's only while it has no review")
  func checks() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub(config: #"{"gate_threshold":"all","skip_title_words":["t"]}"#)
      let tasks = PlatformTasks(store: test.stack.store, questions: test.questions, logger: ServerStack.silent)
      await test.github.deliver("pull_request", test.push(1, sha: test.sha(1)))
      await test.github.deliver(
        "merge_group",
        """
        {"action":"checks_requested","installation":{"id":1},"repository":{"full_name":"acme/shop"},
         "merge_group":{"head_sha":"\(test.sha(99))","head_ref":"refs/heads/gh-readonly-queue/main/pr-1-\(test.sha(5))"}}
        """)
      try await tasks.doDue()
      #expect(
        test.github.feedback.map { "\($0.sha ?? "") \($0.state)" }.sorted() == [
          "\(test.sha(1)) neutral", "\(test.sha(99)) neutral",
        ])
      #expect(try await test.stack.count("baton_platform_tasks") == 0)
    }
  }

  @Test("whether a pull request is reviewed can depend on its files")
  func paths() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub(config: #"{"gate_threshold":"all","paths":["src/**"]}"#)
      let tasks = PlatformTasks(store: test.stack.store, questions: test.questions, logger: ServerStack.silent)
      await test.github.deliver("pull_request", test.push(1, sha: test.sha(1)))
      #expect(try await test.stack.count("code_reviews") == 0)
      try await tasks.doDue()
      #expect(try await test.stack.count("code_reviews") == 1)
      try await test.stack.run(#"UPDATE agent_configs SET config = '{"gate_threshold":"all","paths":["docs/**"]}'"#)
      await test.github.deliver("pull_request", test.push(2, sha: test.sha(2)))
      try await tasks.doDue()
      try await tasks.doDue()
      #expect(try await test.stack.count("code_reviews") == 1)
      #expect(test.github.feedback.contains { $0.sha == test.sha(2) && $0.state == "neutral" })
      let outcome = try await test.stack.store.webhooks(WebhookFilter(), limit: 1).webhooks.first?.result
      #expect(outcome == "it changes no file that is reviewed (paths)")
    }
  }

  @Test("a GitLab that never answers delays no task of another host")
  func hungHost() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub(config: #"{"paths":["src/**"]}"#)
      let silent = try ListeningAddress()
      try await test.addChecks(40, atPort: silent.port)
      let tasks = PlatformTasks(store: test.stack.store, questions: test.questions, logger: ServerStack.silent)
      let running = Task { try await tasks.run() }
      defer { running.cancel() }
      try await eventually("GitLab is asked") {
        try await test.stack.count("baton_platform_tasks WHERE tries > 0") >= 8
      }
      await test.github.deliver("pull_request", test.push(1, sha: test.sha(1)))
      try await eventually("GitHub's task is done") { try await test.stack.count("code_reviews") == 1 }
      #expect(try await test.stack.count("baton_platform_tasks WHERE tries = 0") > 0, "it overtook some of GitLab's")
    }
  }

  @Test("a GitLab that never answers is called by a probe only, until it does")
  func hungHostIsLeftAlone() async throws {
    try await CaughtUp.run(callTimeout: .seconds(1)) { test in
      let silent = try ListeningAddress()
      try await test.addChecks(40, atPort: silent.port)
      let tasks = PlatformTasks(store: test.stack.store, questions: test.questions, logger: ServerStack.silent)
      let running = Task { try await tasks.run() }
      defer { running.cancel() }
      try await eventually("all were looked at") {
        try await test.stack.count("baton_platform_tasks WHERE last_error IS NOT NULL") == 40
      }
      #expect(
        try await test.stack.count("baton_platform_tasks WHERE last_error LIKE '%is unavailable: %'") >= 20)
    }
  }
}
