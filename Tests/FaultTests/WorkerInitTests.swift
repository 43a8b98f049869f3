import Foundation
import Primitives
import Reviews
import Support
import Testing
import WorkerAPI
import WorkerClient

@Suite("Worker as process 1", .timeLimit(.minutes(5)))
struct WorkerInitTests {
  /// A process namespace of its own, as a container without an init has.
  private static var namespace: [String] {
    ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"] + (getuid() == 0 ? [] : ["--map-root-user"])
  }

  /// The numbers and states of a process's children, as this namespace sees them.
  private func children(of parent: Int32) -> [(id: Int32, state: String)] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { Int32($0) }.compactMap { id in
      guard let stat = FileManager.default.contents(atPath: "/proc/\(id)/stat") else { return nil }
      let fields = String(decoding: stat, as: UTF8.self).split(separator: ") ").last?.split(separator: " ") ?? []
      return fields.count > 1 && fields[1] == "\(parent)" ? (id, String(fields[0])) : nil
    }
  }

  @Test("what agents leave behind is waited for, agents keep their exit statuses, and SIGTERM drains")
  func orphans() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("baton-init-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // It waits until its child has left the agent's process group, which is killed when the agent has ended.
    let agent = """
      (setsid sh -c '>\(folder)/left-$BATON_REVIEW_ID; sleep 0.3; echo $BATON_REVIEW_ID >>\(folder)/orphans') & sleep 30 &
      until [ -e \(folder)/left-$BATON_REVIEW_ID ]; do sleep 0.05; done
      if [ -e \(folder)/fail ]; then exit 7; fi
      """
    let process = try BatonProcess(
      ["worker", "--port", "0"],
      settings: [
        "BATON_WORKER_TOKEN": "t", "BATON_WORKER_STATE": "\(folder)/state.sqlite", "BATON_AGENT_COMMAND": agent,
      ], through: Self.namespace)
    var url: String?
    try await eventually("the worker listens") {
      url = process.output.firstMatch(of: /url=(http:[0-9.:\/]+)/).map { String($0.1) }
      return url != nil
    }
    let worker = try #require(children(of: process.processID).first?.id)
    let client = try WorkerClient(
      baseURL: try #require(url), token: Secret("t"), timeout: .seconds(30), connectionMax: 4, logger: .postgresTests)
    func finish(_ id: UUID) async throws -> RunStatus {
      let body = WorkerTestCluster.request(id).encode()
      _ = await client.start(body, reviewID: id, attempt: 1, trace: nil)
      var end: RunStatus?
      try await eventually("\(id) has ended") {
        if case .known(let status) = await client.status(of: id), status.completedAt != nil { end = status }
        return end != nil
      }
      return try #require(end)
    }
    for _ in 0..<6 { #expect(try await finish(UUID()).status == .completed) }
    _ = FileManager.default.createFile(atPath: "\(folder)/fail", contents: nil)
    let failed = try await finish(UUID())
    #expect(failed.status == .failed && failed.errorMessage?.contains("status 7") == true, "\(failed)")
    try await eventually("the orphans have ended") {
      (try? String(contentsOfFile: "\(folder)/orphans", encoding: .utf8))?.split(separator: "\n").count == 7
    }
    try await eventually("no zombie is left") { children(of: worker).allSatisfy { $0.state != "Z" } }
    kill(worker, SIGTERM)
    #expect(await process.wait() == 0, "\(process.output)")
  }
}
