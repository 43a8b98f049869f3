import BatonServer
import Foundation
import Platforms
import PostgresClient
import Primitives
import Resilience
import ReviewStore
import Reviews
import Sandbox
import Support
import Testing

@Suite("Tasks at the platforms", .timeLimit(.minutes(5)))
struct PlatformTaskTests {
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
        try await tasks.deliverDue()
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
      try await tasks.deliverDue()
      #expect(
        test.github.feedback.map { "\($0.sha ?? "") \($0.state)" }.sorted() == [
          "\(test.sha(1)) neutral", "\(test.sha(99)) neutral",
        ])
      #expect(try await test.stack.count("baton_platform_tasks") == 0)
    }
  }

  @Test("that a pull request is excluded is not shown over its review after the repository was renamed")
  func renamedCheck() async throws {
    try await CaughtUp.run { test in
      try await test.stack.addGitHub(config: #"{"gate_threshold":"all","skip_title_words":["t"]}"#)
      let tasks = PlatformTasks(store: test.stack.store, questions: test.questions, logger: ServerStack.silent)
      await test.github.deliver("pull_request", test.push(1, sha: test.sha(1)))
      #expect(try await test.stack.count("baton_platform_tasks WHERE kind = 'check'") == 1)
      try await test.stack.run(#"UPDATE agent_configs SET config = '{"gate_threshold":"all"}'"#)
      let later = test.event("opened", test.pull(1, sha: test.sha(1), at: "2026-01-01T10:00:05Z"))
      await test.github.deliver("pull_request", later.replacing("acme/shop", with: "acme/store"))
      #expect(try await test.stack.reviews().map(\.repoFullName) == ["acme/store"])
      try await tasks.deliverDue()
      #expect(test.github.feedback.isEmpty)
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
      try await tasks.deliverDue()
      #expect(try await test.stack.count("code_reviews") == 1)
      try await test.stack.run(#"UPDATE agent_configs SET config = '{"gate_threshold":"all","paths":["docs/**"]}'"#)
      await test.github.deliver("pull_request", test.push(2, sha: test.sha(2)))
      try await tasks.deliverDue()
      try await tasks.deliverDue()
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

  @Test("what is due at a GitLab that never answers is left as it is, but for what has found that out")
  func hungHostIsLeftAlone() async throws {
    try await CaughtUp.run(callTimeout: .seconds(1)) { test in
      let silent = try ListeningAddress()
      try await test.addChecks(100, atPort: silent.port)
      let circuits = Circuits()
      let tasks = PlatformTasks(
        store: test.stack.store, questions: test.questions, circuits: circuits, logger: ServerStack.silent)
      let running = Task { try await tasks.run() }
      defer { running.cancel() }
      try await eventually("GitLab is known to be unavailable") { circuits.all.contains { $0.openFor != nil } }
      #expect(try await test.stack.count("baton_platform_tasks WHERE tries = 0 AND due_at <= now()") > 50)
    }
  }
}
