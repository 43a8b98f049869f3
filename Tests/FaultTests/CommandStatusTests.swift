import AMQPClient
import Foundation
import Support
import Testing

@Suite("How commands end", .timeLimit(.minutes(5)))
struct CommandStatusTests {
  @Test("what is wrong, what is missing and what does not fit together come in one message, with status 78")
  func settings() async throws {
    let process = try BatonProcess(
      ["consume"],
      settings: [
        "BATON_PREFETCH": "many", "BATON_LEASE": "soon", "BATON_DATABASE_URL": "postgresql://x/y",
        "BATON_GITHUB_APP_ID": "1",
      ])
    #expect(await process.wait() == 78)
    for name in [
      "BATON_PREFETCH", "BATON_LEASE", "BATON_AMQP_URL is missing", "BATON_WORKER_URL is missing",
      "BATON_GITHUB_PRIVATE_KEY is missing",
    ] { #expect(process.output.contains(name), "\(process.output)") }
    let worker = try BatonProcess(
      ["worker", "--demo"], settings: ["BATON_AGENT_ISOLATION": "users", "BATON_METRICS_PORT": "x"])
    #expect(await worker.wait() == 78)
    for name in ["BATON_AGENT_USERS", "BATON_METRICS_PORT", "BATON_WORKER_TOKEN is missing"] {
      #expect(worker.output.contains(name), "\(worker.output)")
    }
  }

  @Test(
    "a mistyped command is wrong usage, also if its help is asked for",
    arguments: [["consum"], ["consum", "--help"], ["help", "consum"], ["consum", "--version"]])
  func mistyped(arguments: [String]) async throws {
    let process = try BatonProcess(arguments, settings: [:])
    #expect(await process.wait() == 64, "\(process.output)")
    #expect(process.output.contains("there is no command `baton consum`\nDid you mean `baton consume`?"))
  }

  @Test("servers that cannot be reached end a one-shot command with 69", arguments: [["migrate"], ["list"], ["reap"]])
  func unreachable(arguments: [String]) async throws {
    let process = try BatonProcess(
      arguments,
      settings: [
        "BATON_DATABASE_URL": "postgresql://nobody:hush@127.0.0.1:1/none", "BATON_AMQP_URL": "amqp://127.0.0.1:1",
      ])
    #expect(await process.wait() == 69, "\(process.output)")
    #expect(!process.output.contains("hush"))
  }

  @Test("a database without the schema is refused with what to do")
  func schema() async throws {
    try await withTestDatabase { conninfo in
      let process = try BatonProcess(["list"], settings: ["BATON_DATABASE_URL": conninfo])
      #expect(await process.wait() == 1)
      #expect(process.output.contains("baton migrate"), "\(process.output)")
    }
  }

  @Test("a queue that is declared otherwise ends with 78 and names the argument")
  func otherQueue() async throws {
    try await withTestCluster { cluster in
      // The dead-letter queue exists without a delivery limit: as a work queue it is declared otherwise.
      var settings = cluster.settings
      settings["BATON_QUEUE"] = "baton.dead"
      let process = try BatonProcess(["migrate"], settings: settings)
      #expect(await process.wait() == 78, "\(process.output)")
      #expect(process.output.contains("x-"), "\(process.output)")
    }
  }

  /// Runs the body with a user and a virtual host of the broker, both of that name, and deletes them, however it ends.
  private func withBrokerAccount(_ name: String, _ control: String, _ body: () async throws -> Void) async throws {
    func run(_ commands: [[String]]) async throws {
      for arguments in commands { _ = try await runCommand(control, ["ctl"] + arguments) }
    }
    let deletions = [["delete_user", name], ["delete_vhost", name]]
    do {
      try await run([["add_vhost", name], ["add_user", name, "s3cret"]])
      try await body()
    } catch {
      for deletion in deletions { try? await run([deletion]) }
      throw error
    }
    try await run(deletions)
  }

  @Test("what the broker refuses ends with the status and the advice of its cause")
  func refusals() async throws {
    try await withTestCluster { cluster in
      let control = try postgresTestVariable("BATON_TEST_BROKER_CTL")
      let name = uniqueName("refused")
      let port = try #require(
        AMQPConfiguration(urls: cluster.settings["BATON_AMQP_URL"] ?? "", connectionName: "").endpoints.first
      )
      .port
      var settings = cluster.settings
      func migrate(_ vhost: String) async throws -> (status: Int32, output: String) {
        settings["BATON_AMQP_URL"] = "amqp://\(name):s3cret@127.0.0.1:\(port)/\(vhost)"
        let process = try BatonProcess(["migrate"], settings: settings)
        return (await process.wait(), process.output)
      }
      func expect(_ status: Int32, _ advice: String, _ result: (status: Int32, output: String)) {
        #expect(result.status == status && result.output.contains(advice), "\(result)")
        #expect(!result.output.contains("s3cret"))
      }
      try await withBrokerAccount(name, control) {
        expect(78, "add_vhost", try await migrate("missing-\(name)"))
        expect(78, "set_permissions", try await migrate(name))
        _ = try await runCommand(control, ["ctl", "set_permissions", "-p", name, name, "^$", ".*", ".*"])
        expect(78, "configure", try await migrate(name))
        _ = try await runCommand(control, ["ctl", "set_permissions", "-p", name, name, ".*", ".*", ".*"])
        _ = try await runCommand(control, ["ctl", "set_vhost_limits", "-p", name, #"{"max-queues": 0}"#])
        let limited = try await migrate(name)
        expect(69, "set_vhost_limits", limited)
        #expect(!limited.output.contains("Remove it"))
        _ = try await runCommand(control, ["ctl", "clear_vhost_limits", "-p", name])
        expect(0, "are declared", try await migrate(name))
        // What is there is enough for an account that may not declare.
        _ = try await runCommand(control, ["ctl", "set_permissions", "-p", name, name, "^$", ".*", ".*"])
        expect(0, "are declared", try await migrate(name))
      }
    }
  }

  @Test(
    "the time-out of a health check holds for servers that accept a connection and say nothing", .timeLimit(.minutes(2))
  )
  func healthTimeout() async throws {
    try await withTestCluster { cluster in
      let silent = try ListeningAddress()
      var settings = cluster.settings
      settings["BATON_AMQP_URL"] = "amqp://127.0.0.1:\(silent.port)?connection_timeout=600000"
      let process = try BatonProcess(["health", "--timeout", "1s", "--json"], settings: settings)
      let (status, text) = (await process.wait(), process.output)
      #expect(status == 69 && text.contains(#""broker":"no answer within 1s""#), "\(status) \(text)")
      #expect(text.contains(#""postgres":"ok""#), "\(text)")
    }
  }

  @Test("a worker without an agent is refused with status 78 and the setting's name")
  func noAgent() async throws {
    let process = try BatonProcess(
      ["worker", "--port", "0"], settings: ["BATON_WORKER_TOKEN": "t", "BATON_AGENT_COMMAND": " "])
    #expect(await process.wait() == 78)
    #expect(process.output.contains("BATON_AGENT_COMMAND is missing") && !process.output.contains("listening"))
  }
}
