import Foundation
import Platforms
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing
import WorkerAPI

/// The pages of deploy/rotation.md, step by step, while reviews come in.
@Suite("Secrets are exchanged under traffic", .serialized, .timeLimit(.minutes(10)))
struct RotationTests {
  private static func callback(_ port: Int, _ id: UUID, _ headers: [(String, String)]) async throws -> Int {
    try await RawHTTPClient(port: port).send(
      "POST", "/api/internal/code-review-status/\(id.lowercase)", headers: headers,
      body: Array(#"{"status":"running","attempt":1}"#.utf8)
    ).status
  }

  @Test(
    "the encryption key: no review fails, runs that began before report with their tokens, and every secret is sealed anew"
  )
  func encryptionKey() async throws {
    let port = try BrokerServer.freePort()
    try await withTestCluster(
      latency: .milliseconds(20), settings: ["BATON_HTTP_PORT": "\(port)", "BATON_OWNER_LIMIT": "1000"]
    ) { cluster in
      // As an upgrade finds it: in the former format.
      try await cluster.test.sql("UPDATE baton_sealing SET format = 1")
      let integration = try await cluster.addToken(.former(7))
      let (old, new) = (KeyBytes(7).base64, KeyBytes(8).base64)
      var producer = try await cluster.start("produce")
      var ids: [UUID] = []
      var processes: [BatonProcess] = []
      // Old, then accepted everywhere, then used everywhere.
      for key in [old, "\(old),\(new)", "\(new),\(old)"] {
        let next = ["BATON_ENCRYPTION_KEY": key]
        ids += try await cluster.insert(10, naming: integration)
        for process in processes { process.signal(SIGTERM) }
        for process in processes { #expect(await process.wait() == 0, "\(process.output)") }
        processes = [
          try await cluster.start("serve", settings: next), try await cluster.start("consume", settings: next),
        ]
        ids += try await cluster.insert(10, naming: integration)
        let count = ids.count
        try await eventually("dispatched under \(key.count) bytes") { try await cluster.dispatchedCount() == count }
      }
      let first = try #require(cluster.worker.starts.first { $0.reviewID == ids[0] }?.request.authToken)
      let last = try #require(cluster.worker.starts.first { $0.reviewID == ids[59] }?.request.authToken)
      #expect(try await Self.callback(port, ids[0], [("Authorization", "Bearer \(first)")]) == 200)
      #expect(try await Self.callback(port, ids[59], [("Authorization", "Bearer \(last)")]) == 200)

      var both = cluster
      both.settings["BATON_ENCRYPTION_KEY"] = "\(new),\(old)"
      let resealed = try await both.run("integration", "reseal")
      #expect(resealed.status == 0 && resealed.output.contains("1 secrets encrypted again"), "\(resealed.output)")
      #expect(try await both.run("integration", "reseal").output.contains("0 secrets encrypted again"))
      // The new key alone.
      try await cluster.stop(producer)
      for process in processes { try await cluster.stop(process) }
      let alone = ["BATON_ENCRYPTION_KEY": new]
      producer = try await cluster.start("produce")
      processes = [
        try await cluster.start("serve", settings: alone), try await cluster.start("consume", settings: alone),
      ]
      ids += try await cluster.insert(10, naming: integration)
      try await eventually("all dispatched") { try await cluster.dispatchedCount() == 70 }
      #expect(cluster.doubleRuns.isEmpty && Set(cluster.worker.starts.map(\.reviewID)) == Set(ids))
      #expect(
        try await cluster.count("code_reviews WHERE status IN ('failed', 'cancelled') OR dispatch_failures > 0") == 0)
      #expect(try await Self.callback(port, ids[0], [("Authorization", "Bearer \(first)")]) == 401)
      try await cluster.stop(producer)
      for process in processes { try await cluster.stop(process) }
    }
  }

  @Test("the worker's token and the callbacks' secret: no review fails, also while both sides do not agree")
  func workerAndCallbacks() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("baton-rotation-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (port, workerPort) = (try BrokerServer.freePort(), try BrokerServer.freePort())
    let settings = [
      "BATON_HTTP_PORT": "\(port)", "BATON_WORKER_URL": "http://127.0.0.1:\(workerPort)",
      "BATON_AGENT_COMMAND": "cat > /dev/null; echo '{\"gateResult\":\"pass\"}'",
      "BATON_WORKER_STATE": folder.appendingPathComponent("worker.sqlite").path, "BATON_RETRY_BASE": "100ms",
      "BATON_RETRY_MAX": "500ms",
    ]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      let producer = try await cluster.start("produce")
      var processes: [String: BatonProcess] = [:]
      var count: Int64 = 0
      func replace(_ role: String, _ token: String, _ callback: String) async throws {
        if let old = processes[role] { try await cluster.stop(old) }
        var next = cluster
        next.settings["BATON_WORKER_TOKEN"] = token
        next.settings["BATON_CALLBACK_SECRET"] = callback
        processes[role] =
          switch role {
          case "worker": try await next.listen("worker", "--port", "\(workerPort)", "--concurrency", "4").process
          case "serve": try await next.listen("serve").process
          default: try await next.start("consume")
          }
      }
      func run() async throws {
        _ = try await cluster.test.insert(4)
        count += 4
        let expected = count
        try await eventually("\(expected) completed") {
          try await cluster.count("code_reviews WHERE status = 'completed'") == Int(expected)
        }
      }
      for role in ["worker", "serve", "consume"] { try await replace(role, "old-token", "old-secret") }
      try await run()
      // The side that accepts gets both; then the side that sends the new one; then the old one goes.
      try await replace("worker", "new-token,old-token", "old-secret")
      try await run()
      try await replace("serve", "new-token", "new-secret,old-secret")
      try await replace("consume", "new-token", "new-secret")
      try await run()
      try await replace("worker", "new-token", "new-secret")
      try await run()
      try await replace("serve", "new-token", "new-secret")
      try await run()
      // In the wrong order, nothing is failed either: it waits.
      try await replace("worker", "third-token", "third-secret")
      _ = try await cluster.test.insert(4)
      count += 4
      try await eventually("the consumer is refused") {
        try await cluster.count("review_transitions WHERE reason LIKE '%401%'") > 0
      }
      try await replace("consume", "third-token", "third-secret")
      try await eventually("all run") { try await cluster.dispatchedCount() == Int(count) }
      try await replace("serve", "third-token", "third-secret")
      let expected = count
      try await eventually("all completed") {
        try await cluster.count("code_reviews WHERE status = 'completed'") == Int(expected)
      }
      #expect(
        try await cluster.count("code_reviews WHERE status = 'failed' OR dispatch_failures > 0 OR attempt > 1") == 0)
      try await cluster.stop(producer)
      for process in processes.values { try await cluster.stop(process) }
    }
  }

  @Test("reseal refuses while an older release runs, counts without changing, names what does not open, and goes back")
  func reseal() async throws {
    try await withTestCluster(latency: .zero) { cluster in
      try await cluster.test.sql("UPDATE baton_sealing SET format = 1")
      let fine = try await cluster.addToken(.former(7))
      let lost = try await cluster.addToken(.key(9))
      try await cluster.test.sql(
        "INSERT INTO baton_holders (id, role, host, pid) VALUES ('older', 'consume', 'host-1', 4711)")
      func format(_ id: UUID) async throws -> Bool {
        let row = try await cluster.test.sql(
          "SELECT token_ciphertext FROM platform_integrations WHERE id = '\(id.lowercase)'")[0]
        return try row.decode(0, as: [UInt8].self).starts(with: [0x42, 0x54, 0x4E, 2])
      }
      let dry = try await cluster.run("integration", "reseal", "--dry-run")
      #expect(dry.status == 1 && dry.output.contains("1 secrets would be encrypted again"), "\(dry.output)")
      #expect(dry.output.contains(lost.lowercase) && dry.output.contains("1 do not open"), "\(dry.output)")
      let refused = try await cluster.run("integration", "reseal")
      #expect(refused.status == 1 && refused.output.contains("consume on host-1, process 4711"), "\(refused.output)")
      #expect(try await !format(fine))
      // What is added in the meantime can be read by the older release.
      let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).txt")
      try Data("glpat-x".utf8).write(to: file)
      defer { try? FileManager.default.removeItem(at: file) }
      let arguments = ["integration", "add", "org:acme", "--platform", "gitlab", "--token-file", file.path]
      let process = try BatonProcess(arguments, settings: cluster.settings)
      #expect(await process.wait() == 0, "\(process.output)")
      let added = try #require(UUID(uuidString: String(process.output.prefix(36))))
      #expect(try await !format(added))

      try await cluster.test.sql("DELETE FROM baton_holders")
      let done = try await cluster.run("integration", "reseal")
      #expect(done.status == 1 && done.output.contains("2 secrets encrypted again"), "\(done.output)")
      for id in [fine, added] { #expect(try await format(id)) }
      try await cluster.setToken(lost, .key(7))
      let again = try await cluster.run("integration", "reseal")
      #expect(again.status == 0 && again.output.contains("0 secrets encrypted again"), "\(again.output)")
      #expect(again.output.contains("3 have it already"))
      let back = try await cluster.run("integration", "reseal", "--former-format")
      #expect(back.status == 0 && back.output.contains("3 secrets encrypted again"), "\(back.output)")
      for id in [fine, added] { #expect(try await !format(id)) }
    }
  }
}
