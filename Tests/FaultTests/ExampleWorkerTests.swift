import Foundation
import Primitives
import Reviews
import Support
import Synchronization
import Testing
import WorkerAPI
import WorkerClient

/// The worker in Python that the documentation offers as an example.
@Suite("Example worker", .timeLimit(.minutes(3)))
struct ExampleWorkerTests {
  /// Runs the example instead of the executable.
  private func start(_ command: String, port: Int, folder: String, callbacks: String) async throws -> BatonProcess {
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../deploy/examples/worker.py").standardizedFileURL.path
    let process = try BatonProcess(
      [], settings: ["BATON_WORKER_TOKEN": "worker-token", "BATON_CALLBACK_URL": callbacks],
      through: [
        "sh", "-c", "exec python3 '\(script)' --port \(port) --state '\(folder)/runs.sqlite' -- sh -c '\(command)'",
      ])
    try await eventually("the example listens: \(process.output)") { process.output.contains("listening") }
    return process
  }

  private func client(_ port: Int) throws -> WorkerClient {
    try WorkerClient(
      baseURL: "http://127.0.0.1:\(port)", token: Secret("worker-token"), timeout: .seconds(30), connectionMax: 4,
      logger: .postgresTests)
  }

  private func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("example-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(folder)
  }

  @Test("it starts an attempt once, refuses an older one, remembers a cancel, and reports each end, also after kill -9")
  func contract() async throws {
    try await withFolder { folder in
      let sink = try await CallbackSink()
      let port = try BrokerServer.freePort()
      let command = "echo began >>\(folder)/began; echo looking; while [ -e \(folder)/wait ]; do sleep 0.05; done"
      var process = try await start(command, port: port, folder: folder, callbacks: sink.url)
      let worker = try client(port)
      func begin(_ id: UUID, attempt: Int) async -> DispatchOutcome {
        await worker.start(
          WorkerTestCluster.request(id, attempt: attempt).encode(), reviewID: id, attempt: attempt, trace: nil)
      }
      func state(_ id: UUID) async -> RunState? {
        if case .known(let status) = await worker.status(of: id) { status.status } else { nil }
      }

      let (first, cancelled, cut) = (UUID(), UUID(), UUID())
      for _ in 0..<2 {
        guard case .dispatched = await begin(first, attempt: 2) else {
          Issue.record("the start was not accepted")
          return
        }
      }
      try await eventually("it has ended") { await state(first) == .completed }
      guard case .refused = await begin(first, attempt: 1) else {
        Issue.record("an older attempt was not refused")
        return
      }
      #expect(try await worker.events(of: first).map(\.message) == ["looking"])

      #expect(await state(cancelled) == nil)
      _ = await worker.cancel(cancelled, reason: "closed", attempt: 1)
      _ = await begin(cancelled, attempt: 1)
      #expect(await state(cancelled) == .cancelled)

      _ = FileManager.default.createFile(atPath: "\(folder)/wait", contents: nil)
      _ = await begin(cut, attempt: 1)
      try await eventually("it runs") { try await worker.events(of: cut).map(\.message) == ["looking"] }
      await process.die()
      process = try await start(command, port: port, folder: folder, callbacks: sink.url)
      #expect(await state(cut) == .failed)
      try? FileManager.default.removeItem(atPath: "\(folder)/wait")

      try await eventually("all ends are reported") {
        let ends = Set(sink.received.map { "\($0.reviewID) \($0.callback.status)" })
        return ends.isSuperset(of: ["\(first) completed", "\(cut) failed"])
      }
      let runs = try String(contentsOfFile: "\(folder)/began", encoding: .utf8).split(separator: "\n")
      #expect(runs.count == 2, "the second start, the older attempt and the cancelled one began nothing")
      await process.die()
      await sink.stop()
    }
  }

  @Test("it sends a report again that was answered with 401, as while Baton's secrets are exchanged")
  func refusedToken() async throws {
    try await withFolder { folder in
      let answers = Mutex([401, 403, 401])
      let sink = try await CallbackSink { _ in answers.withLock { $0.popLast() } }
      let port = try BrokerServer.freePort()
      let process = try await start("true", port: port, folder: folder, callbacks: sink.url)
      let id = UUID()
      _ = try await client(port).start(
        WorkerTestCluster.request(id, attempt: 1).encode(), reviewID: id, attempt: 1, trace: nil)
      try await eventually("its end is reported") { sink.statuses(of: id).last == .completed }
      #expect(answers.withLock { $0.isEmpty })
      await process.die()
      await sink.stop()
    }
  }

  @Test("a review goes through Baton and the example to its end")
  func circle() async throws {
    try await withFolder { folder in
      let (workerPort, serverPort) = (try BrokerServer.freePort(), try BrokerServer.freePort())
      let settings = [
        "BATON_HTTP_PORT": "\(serverPort)", "BATON_WORKER_URL": "http://127.0.0.1:\(workerPort)",
      ]
      try await withTestCluster(settings: settings) { cluster in
        let server = try await cluster.listen("serve").process
        let worker = try await start(
          "grep -q reviewId && echo done", port: workerPort, folder: folder,
          callbacks: "http://127.0.0.1:\(serverPort)")
        let processes = [try await cluster.start("produce"), try await cluster.start("consume")]
        _ = try await cluster.test.insert(3)
        try await eventually("all completed") {
          try await cluster.count("code_reviews WHERE status = 'completed'") == 3
        }
        for process in processes + [server] { process.signal(SIGTERM) }
        for process in processes + [server] { #expect(await process.wait() == 0, "\(process.output)") }
        await worker.die()
      }
    }
  }
}
