import Foundation
import PostgresClient
import Reviews
import Support
import Testing

@Suite("The sandbox, from outside", .timeLimit(.minutes(5)))
struct SandboxRunTests {
  @Test("its reviews are made by an agent that reads the difference, and are dispatched once")
  func reviews() async throws {
    try await withTestCluster(latency: .zero) { cluster in
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: folder) }
      // A port that is free now.
      let sink = try await CallbackSink()
      let port = try #require(sink.url.split(separator: ":").last)
      await sink.stop()
      var sandbox = cluster
      sandbox.settings["BATON_HTTP_PORT"] = String(port)
      sandbox.settings["BATON_WORKER_STATE"] = "\(folder)/state.sqlite"
      let up = try await sandbox.start("up", "--sandbox")
      let submitted = try await sandbox.run("submit", "--sandbox", "4", "--owners", "2", "--wait")
      #expect(submitted.status == 0, "\(submitted.output)")
      let models = try await cluster.test.sql("SELECT DISTINCT model FROM code_reviews")
      #expect(try models.map { try $0.decode(0, as: String.self) } == ["sandbox-rules"])
      up.signal(SIGTERM)
      #expect(await up.wait() == 0, "\(up.output)")
    }
  }

  @Test("the recordings are in the sandbox's program, and not in Baton's own")
  func recordings() throws {
    let baton = try postgresTestVariable("BATON_TEST_EXECUTABLE")
    // The name of an account in the recorded answers.
    #expect(try Self.contains("jacquev6", baton + "-sandbox"))
    #expect(try !Self.contains("jacquev6", baton))
  }

  private static func contains(_ text: String, _ path: String) throws -> Bool {
    let search = Process()
    search.executableURL = URL(fileURLWithPath: "/usr/bin/grep")
    search.arguments = ["--quiet", "--text", "--fixed-strings", text, path]
    try search.run()
    search.waitUntilExit()
    try #require(search.terminationStatus < 2, "\(path) cannot be read")
    return search.terminationStatus == 0
  }
}
