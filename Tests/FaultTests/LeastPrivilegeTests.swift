import AMQPClient
import Foundation
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Sandbox
import Support
import Testing

/// Every part of Baton under an account of its own, in Postgres and at the broker, with the rights that deploy/roles.md gives it.
@Suite("Least rights", .timeLimit(.minutes(5)))
struct LeastPrivilegeTests {
  private struct System {
    var cluster: TestCluster
    let accounts: Accounts
    let admin: String

    /// The settings under which a part's process runs.
    func settings(_ account: String) -> [String: String] {
      ["BATON_DATABASE_URL": accounts.url(account), "BATON_AMQP_URL": broker(account)]
    }

    /// The broker's URL for an account.
    func broker(_ account: String) -> String { Self.broker(accounts.mark + account, admin) }

    static func broker(_ user: String, _ admin: String) -> String {
      var parts = URLComponents(string: admin) ?? URLComponents()
      (parts.user, parts.password) = (user, "s3cret")
      return parts.string ?? ""
    }

    func run(_ account: String, _ arguments: String...) async throws -> (status: Int32, output: String) {
      let process = try BatonProcess(arguments, settings: cluster.settings.merging(settings(account)) { $1 })
      return (await process.wait(), process.output)
    }
  }

  private func control(_ arguments: String...) async throws {
    _ = try await runCommand(try postgresTestVariable("BATON_TEST_BROKER_CTL"), ["ctl"] + arguments)
  }

  /// The users and permissions of deploy/roles.md, in its words.
  private func permissions(_ accounts: Accounts, queue: String) throws -> [[String]] {
    try accounts.block("roles: permissions").split(separator: "\n").map { line in
      let words = line.split(separator: " ").map { String($0).replacing("'", with: "") }
      let expressions = words[3...].map { $0.replacing(#"baton\.reviews"#, with: queue.replacing(".", with: #"\."#)) }
      return [words[2]] + expressions
    }
  }

  private func withSystem(_ settings: [String: String] = [:], _ body: (System) async throws -> Void) async throws {
    let admin = try postgresTestVariable("BATON_TEST_AMQP_URL")
    let queue = "baton.least-\(UUID().uuidString.lowercased())"
    let users = try Accounts(of: "roles.md", on: "")
    let permissions = try permissions(users, queue: queue)
    #expect(permissions.count == 6 && permissions.allSatisfy { $0.count == 4 })
    for user in permissions {
      try await control("add_user", user[0], "s3cret")
      try await control("set_permissions", user[0], user[1], user[2], user[3])
    }
    // The topology is declared by the owner's user.
    let all = settings.merging([
      "BATON_QUEUE": queue, "BATON_AMQP_URL": System.broker(users.mark + "baton_owner", admin),
    ]) { $1 }
    let result: Result<Void, any Error>
    do {
      try await withTestCluster(latency: .milliseconds(20), settings: all) { cluster in
        let accounts = users.on(cluster.test.conninfo)
        try await accounts.grantRoles(schema: "public")
        try await cluster.test.pool.withConnection { connection in
          try await connection.execute(
            script: "CREATE ROLE \(accounts.mark)shop LOGIN;"
              + accounts.block("roles: accounts").replacing("search_path = baton", with: "search_path = public"))
        }
        try await body(System(cluster: cluster, accounts: accounts, admin: admin))
      }
      result = .success(())
    } catch {
      result = .failure(error)
    }
    for user in permissions { try await control("delete_user", user[0]) }
    try await withTestConnection { try await users.drop($0) }
    try result.get()
  }

  @Test("a review goes through, and is cancelled and retried, with each part under its own SQL role and broker user")
  func wholeWay() async throws {
    let settings = [
      "BATON_CALLBACK_SECRET": "callback-secret-of-a-test", "BATON_API_TOKEN": "api-token-of-a-test",
      "BATON_HTTP_PORT": "\(try BrokerServer.freePort())",
      "BATON_STALE_AFTER": "2s", "BATON_RUNNING_TIMEOUT": "2s",
      "BATON_GITHUB_WEBHOOK_SECRET": RecordedWebhook.webhookSecret,
    ]
    try await withSystem(settings) { system in
      var system = system
      try await system.cluster.addIntegration()
      let base = system.cluster.settings
      system.cluster.settings = base.merging(system.settings("baton_server")) { $1 }
      let (server, url) = try await system.cluster.listen("serve")
      system.cluster.settings = base
      let producer = try await system.cluster.start("produce", settings: system.settings("baton_producer"))
      let consumer = try await system.cluster.start("consume", settings: system.settings("baton_consumer"))
      // Catch-up needs tokens, and has an account of its own.
      let reaper = try await system.cluster.start(
        "reap", "--interval", "1s",
        settings: system.settings("baton_reaper").merging(["BATON_CATCH_UP_INTERVAL": "0"]) { $1 })
      let client = RawHTTPClient(port: try #require(URL(string: url)?.port))

      // One review by the application's SQL, one by a webhook.
      let shop = try await PostgresConnection.connect(
        testConfiguration(system.accounts.url("shop"), applicationName: "shop"), logger: .postgresTests)
      let row = try await shop.query(
        PostgresStatement(
          unprepared: """
            INSERT INTO code_reviews (owner_type, owner_id, platform, platform_integration_id, repo_full_name, pr_number,
                                      pr_url, pr_title, pr_author, base_ref, head_ref, head_sha)
            SELECT 'org', 'acme', 'github', id, 'Codertocat/Hello-World', 1,
                   'https://github.com/Codertocat/Hello-World/pull/1', 't', 'ada', 'main', 'f', 'abc1234'
              FROM platform_integrations
            RETURNING id
            """))
      let first = try #require(row.first).decode(0, as: UUID.self)
      #expect(try await client.send(.github("opened", ["number": "2", "pull_request.number": "2"])).status == 202)
      try await eventually("both are dispatched") { try await system.cluster.dispatchedCount() == 2 }
      let reply = try await client.send(
        "POST", "/api/internal/code-review-status/\(first.lowercase)",
        headers: [("X-Internal-Secret", "callback-secret-of-a-test")],
        body: Array(#"{"status":"completed","attempt":1,"gateResult":"pass"}"#.utf8))
      #expect(reply.status == 200, "\(reply.body)")
      try await eventually("the pull request has its feedback") {
        let seen = Set(system.cluster.fakePlatform.feedback.map { "\($0.number) \($0.state)" })
        return seen.isSuperset(of: ["1 eyes", "1 hooray", "2 eyes"])
      }
      #expect(
        try await shop.query(PostgresStatement(unprepared: "SELECT FROM code_reviews WHERE status = 'completed'")).count
          == 1)
      await shop.close()
      try await operate(system, first, client)
      try await eventually("the reaper has asked the worker about the silent run") {
        try await system.cluster.count("code_reviews WHERE reconciled_at IS NOT NULL") > 0
      }
      for process in [producer, consumer, reaper, server] { process.signal(SIGTERM) }
      for process in [producer, consumer, reaper, server] {
        #expect(await process.wait() == 0)
        for refusal in ["42501", "permission denied", "ACCESS_REFUSED", "error"] {
          #expect(!process.output.contains(refusal), "\(process.output)")
        }
      }
    }
  }

  /// What operators do, by command and by the API.
  private func operate(_ system: System, _ completed: UUID, _ client: RawHTTPClient) async throws {
    let other = try await system.cluster.test.sql("SELECT id FROM code_reviews WHERE id <> '\(completed)'")[0].decode(
      0, as: UUID.self)
    for arguments in [
      ["cancel", other.lowercase], ["retry", other.lowercase], ["show", other.lowercase], ["list"], ["queue"],
      ["owner", "set", "org:acme", "--limit", "5"], ["owner", "list"], ["integration", "list"],
      ["integration", "add", "org:other", "--platform", "github", "--installation-id", "77"],
      ["config", "set", "org:acme", "--platform", "github", "--review-style", "strict"],
      ["config", "show", "org:acme", "--platform", "github"], ["dead", "list"], ["prune", "--older-than", "90d"],
    ] {
      let process = try BatonProcess(
        arguments, settings: system.cluster.settings.merging(system.settings("baton_admin")) { $1 })
      #expect(await process.wait() == 0, "\(arguments): \(process.output)")
    }
    try await eventually("the worker is notified of the cancel") { try await system.cluster.count("baton_outbox") == 0 }
    let token = [("Authorization", "Bearer api-token-of-a-test")]
    for path in ["/", "/api/stats", "/api/reviews", "/api/reviews/\(other.lowercase)", "/metrics", "/readyz"] {
      #expect(try await client.send("GET", path, headers: token).status == 200, "\(path)")
    }
    // The server's account may not change these: the answer names the role that it lacks.
    for (method, path, body) in [
      ("PUT", "/api/configurations", #"{"owner":"org:acme","platform":"github","isEnabled":false}"#),
      ("POST", "/api/integrations", #"{"owner":"org:third","platform":"github","installationId":"78"}"#),
    ] {
      let reply = try await client.send(method, path, headers: token, body: Array(body.utf8))
      #expect(reply.status == 403 && reply.body.contains("baton_operator"), "\(path): \(reply.status) \(reply.body)")
    }
    for (status, arguments) in [
      (Int32(0), ["list"]), (0, ["show", other.lowercase]), (1, ["cancel", other.lowercase]),
    ] {
      let process = try BatonProcess(
        arguments,
        settings: system.cluster.settings.merging(["BATON_DATABASE_URL": system.accounts.url("baton_viewer")]) { $1 })
      #expect(await process.wait() == status, "\(arguments): \(process.output)")
      if status == 1 { #expect(process.output.contains("42501"), "\(process.output)") }
    }
    try await system.cluster.test.sql("DELETE FROM baton_migrations WHERE version = \(Migrator.version)")
    let migrated = try await system.run("baton_admin", "migrate")
    #expect(migrated.status == 1 && migrated.output.contains("42501"), "\(migrated)")
  }

  @Test("a broker user does its part's work and no other; a command that may not ends with 78 and the permission")
  func broker() async throws {
    try await withSystem { system in
      let queue = try #require(system.cluster.settings["BATON_QUEUE"])
      /// Whether the broker lets an account do it.
      func may(_ account: String, _ body: (AMQPConnection) async throws -> Void) async throws -> Bool {
        let configuration = try AMQPConfiguration(urls: system.broker(account), connectionName: account)
        return try await withAMQPConnection(configuration) { connection in
          do {
            try await body(connection)
            return true
          } catch let error as AMQPError where error.cause == .permission {
            return false
          }
        }
      }
      for account in ["baton_producer", "baton_consumer", "baton_reaper", "baton_server", "baton_admin"] {
        #expect(try await !may(account) { _ = try await $0.deleteQueue(queue) }, "\(account) deletes")
        #expect(
          try await !may(account) { try await $0.declare(AMQPTopology(queues: [.quorum("baton.mine")])) },
          "\(account) declares")
        #expect(
          try await may(account) { _ = try await $0.peek(queue, limit: 1) } == (account == "baton_consumer"),
          "\(account) reads tickets")
        #expect(
          try await may(account) { _ = try await $0.peek("baton.dead", limit: 1) }
            == ["baton_server", "baton_admin"].contains(account), "\(account) reads dead letters")
        // Lengths are seen by all.
        _ = try await may(account) { _ = try await $0.queueStatus(queue) }
      }
      let refused = try await system.run("baton_producer", "dead", "list")
      #expect(refused.status == 78 && refused.output.contains("set_permissions"), "\(refused)")
      #expect(!refused.output.contains("s3cret"))
      // A queue that is not there cannot be declared by who may not.
      _ = try await withAMQPConnection { try await $0.deleteQueue(queue) }
      let migrated = try await system.run("baton_producer", "migrate")
      #expect(migrated.status == 78 && migrated.output.contains("configure"), "\(migrated)")
    }
  }
}
