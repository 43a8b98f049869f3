import Foundation
import Glibc
import PostgresClient
import Support
import Testing

// Serialized: each test starts a server of its own, which takes memory and a minute on a busy machine.
@Suite("Postgres restart", .serialized)
struct PostgresRestartTests {
  private let one = Statement("one", "SELECT 1")

  @Test("pool and listener survive a restart of the server: calls fail or succeed, and afterwards all succeed")
  func restart() async throws {
    try await withServer { server in
      let pool = PostgresPool(testConfiguration(server.url), logger: .postgresTests)
      let listener = PostgresListener(testConfiguration(server.url), channels: ["news"], logger: .postgresTests)
      let run = Task { await listener.run() }
      var events = listener.events.makeAsyncIterator()
      #expect(await events.next() == .connected)
      try await pool.query(one)

      let callers = (0..<8).map { _ in
        Task {
          var errors: [any Error] = []
          while !Task.isCancelled {
            do {
              try await pool.withTransaction { try await $0.query(one) }
              try await pool.query(one)
            } catch {
              errors.append(error)
            }
          }
          return errors
        }
      }
      try await server.command("stop")
      #expect(await events.next() == .lost)
      try await server.command("start")
      #expect(await events.next() == .connected)
      try await eventually("an answer") { await pool.ping() }
      for caller in callers { caller.cancel() }
      for caller in callers {
        for error in await caller.value {
          let error = try #require(error as? PostgresError)
          #expect(error.isTransient || error.kind == .cancelled, "\(error)")
        }
      }
      #expect(pool.reconnects > 0)
      for _ in 0..<50 { try await pool.query(one) }
      run.cancel()
      await run.value
      await pool.close()
    }
  }

  @Test("a wrong password is refused at once, with its SQLSTATE and without the password")
  func wrongPassword() async throws {
    try await withServer { server in
      let admin = try await PostgresConnection.connect(testConfiguration(server.url), logger: .postgresTests)
      try await admin.execute(script: "CREATE ROLE reader LOGIN PASSWORD 'right'")
      try server.write(
        "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n", to: "pg_hba.conf")
      try await admin.query(Statement(unprepared: "SELECT pg_reload_conf()"))
      func url(_ password: String) -> String {
        server.url.replacingOccurrences(of: "postgres@", with: "reader:\(password)@")
      }
      // The postmaster takes the file in within a moment.
      try await eventually("the new pg_hba.conf") {
        (try? await PostgresConnection.connect(testConfiguration(url("s3cret")), logger: .postgresTests)) == nil
      }
      let pool = PostgresPool(testConfiguration(url("s3cret")), logger: .postgresTests)
      let error = await #expect(throws: PostgresError.self) { try await pool.query(one) }
      #expect(error?.sqlState == "28P01" && error?.conditionName == "invalid_password")
      #expect(error?.kind == .connectionFailed && error?.isTransient == false)
      #expect(error?.description.contains("s3cret") == false && error?.message.contains("s3cret") == false)
      await pool.close()

      let right = try await PostgresConnection.connect(testConfiguration(url("right")), logger: .postgresTests)
      #expect(try await right.query(one).count == 1)
      await right.close()
      await admin.close()
    }
  }

  private func withServer(_ body: (OwnServer) async throws -> Void) async throws {
    let server = try OwnServer()
    try await server.command("start")
    do {
      try await body(server)
    } catch {
      try? await server.command("wipe")
      throw error
    }
    try await server.command("wipe")
    server.removeFolder()
  }
}

/// A server of the test's own, by the script of `BATON_TEST_BROKER_SCRIPT` (`SCRIPT start DIR AMQP_PORT PG_PORT`).
private struct OwnServer {
  let script: String
  let folder: String
  let port: Int

  init() throws {
    script = try postgresTestVariable("BATON_TEST_BROKER_SCRIPT")
    folder = "/tmp/baton-pg-\(UInt32.random(in: 0 ... .max))"
    port = Int.random(in: 12_800..<15_600)
    // The server has a user of its own, who must be able to enter.
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
  }

  var url: String { "postgresql://postgres@127.0.0.1:\(port)/postgres" }

  func write(_ text: String, to file: String) throws {
    try text.write(toFile: "\(folder)/pg/data/\(file)", atomically: false, encoding: .utf8)
  }

  func removeFolder() { try? FileManager.default.removeItem(atPath: folder) }

  /// Runs the script. Not by Foundation's `Process`: it waits until the servers that the script leaves behind have ended too.
  func command(_ name: String) async throws {
    let arguments = ["env", "PG_ONLY=1", script, name, folder, "5800", "\(port)"]
    let code = await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: Self.run(arguments)) }
    }
    try #require(code == 0, "\(script) \(name) failed")
  }

  private static func run(_ arguments: [String]) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for descriptor: Int32 in 0...2 {
      posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
    }
    let strings = arguments.map { strdup($0) } + [nil]
    defer { for string in strings { free(string) } }
    var child = pid_t()
    guard posix_spawnp(&child, "env", &actions, nil, strings, environ) == 0 else { return -1 }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    return status
  }
}
