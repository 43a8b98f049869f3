import Foundation
import Reviews
import Support
import Testing
import WorkerAPI
import WorkerClient

/// What holds for every run holds for those that are kept apart.
@Suite("Runs kept apart", .timeLimit(.minutes(5)))
struct IsolatedRunTests {
  private static let counting = """
    echo x >>FOLDER/begun-$BATON_REVIEW_ID; n=0
    until [ -e FOLDER/go ]; do n=$((n+1)); echo "line $n"; sleep 0.02; done
    echo end; exit 7
    """

  @Test(
    "agents outlive a killed worker: the next one follows them with every line, and knows their exit status",
    arguments: WorkerTestCluster.Isolation.real + [.unprivileged])
  func adopts(_ isolation: WorkerTestCluster.Isolation) async throws {
    try await withWorker(agent: Self.counting, isolation: isolation) { worker, sink in
      let ids = (0..<3).map { _ in UUID() }
      for id in ids { _ = await worker.start(id) }
      for id in ids { try await eventually("runs") { try await worker.messages(id).count > 2 } }
      await worker.process.die()
      try await worker.restart()
      let count = try await worker.messages(ids[0]).count
      try await eventually("new events") { try await worker.messages(ids[0]).count > count }
      #expect(await worker.stop() == 0, "\(worker.process.output)")
      worker.touch("go")
      try await worker.restart()
      for id in ids {
        try await eventually("ended") { await worker.state(id) == .failed }
        let messages = try await worker.messages(id)
        #expect(messages == (0..<messages.count - 1).map { "line \($0 + 1)" } + ["end"])
        #expect(await worker.status(id)?.errorMessage == "the agent exited with status 7")
        try await eventually("reported") { sink.statuses(of: id).last == .failed }
      }
      for id in ids { #expect(worker.lines("begun-\(id.uuidString.lowercased())") == ["x"], "it began once") }
      #expect(await worker.stop() == 0)
    }
  }

  @Test(
    "a cancel ends an agent that ignores TERM and what has left its session, also after a restart",
    arguments: WorkerTestCluster.Isolation.real, [false, true])
  func cancelled(_ isolation: WorkerTestCluster.Isolation, restarts: Bool) async throws {
    let agent = """
      trap '' TERM; setsid sh -c 'trap "" TERM; while :; do sleep 0.1; done' & echo begun; while :; do sleep 0.1; done
      """
    try await withWorker(agent: agent, isolation: isolation) { worker, sink in
      let id = UUID()
      _ = await worker.start(id)
      try await eventually("runs") { try await worker.messages(id) == ["begun"] }
      if restarts {
        await worker.process.die()
        try await worker.restart()
      }
      #expect(await worker.client.cancel(id, reason: "superseded", attempt: 1) == .done(success: true))
      try await eventually("cancelled") { await worker.state(id) == .cancelled }
      try await eventually("nothing is left") { WorkerTestCluster.processes(of: id).isEmpty }
      try await eventually("reported") { sink.statuses(of: id).last == .cancelled }
      #expect(await worker.stop() == 0)
    }
  }

  @Test("an agent handles the TERM of its end, and its own word counts", arguments: WorkerTestCluster.Isolation.real)
  func handlesTerm(_ isolation: WorkerTestCluster.Isolation) async throws {
    let agent = "trap 'echo bye; exit 0' TERM; echo begun; while :; do sleep 0.1; done"
    try await withWorker(agent: agent, isolation: isolation) { worker, _ in
      let id = UUID()
      _ = await worker.start(id)
      try await eventually("runs") { try await worker.messages(id) == ["begun"] }
      #expect(await worker.client.cancel(id, reason: nil, attempt: 1) == .done(success: true))
      try await eventually("cancelled") { await worker.state(id) == .cancelled }
      #expect(try await worker.messages(id) == ["begun", "bye"])
      #expect(await worker.stop() == 0)
    }
  }

  @Test(
    "the state and the agents' files are closed to all other users", arguments: WorkerTestCluster.Isolation.allCases)
  func modes(_ isolation: WorkerTestCluster.Isolation) async throws {
    guard isolation != .users || WorkerTestCluster.Isolation.real.contains(.users) else { return }
    let agent = "echo begun; until [ -e FOLDER/go ]; do sleep 0.05; done"
    try await withWorker(agent: agent, isolation: isolation) { worker, _ in
      let id = UUID()
      _ = await worker.start(id)
      try await eventually("runs: \(worker.process.output)") { try await worker.messages(id) == ["begun"] }
      let run = "state.sqlite-agents/\(id.uuidString.lowercased())-1-1"
      for name in ["state.sqlite", "state.sqlite-wal", "\(run)/out", "\(run)/err"] {
        #expect(try mode("\(worker.folder)/\(name)") == 0o600, "\(name)")
      }
      // A run's user passes through to its temporary folder.
      for name in ["state.sqlite-agents", run] {
        #expect(try mode("\(worker.folder)/\(name)") == (isolation == .users ? 0o711 : 0o700), "\(name)")
      }
      #expect(try mode("\(worker.folder)/\(run)/tmp") == 0o700)
      worker.touch("go")
      try await eventually("completed") { await worker.state(id) == .completed }
      #expect(await worker.stop() == 0)
    }
  }

  private func mode(_ path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return try #require(attributes[.posixPermissions] as? Int)
  }

  @Test(
    "an agent killed with its worker is lost, and of one that kills itself the signal is reported",
    arguments: WorkerTestCluster.Isolation.real)
  func killed(_ isolation: WorkerTestCluster.Isolation) async throws {
    let agent = "echo begun; [ -e FOLDER/first ] && kill -SEGV $$; >FOLDER/first; sleep 1000"
    try await withWorker(agent: agent, isolation: isolation) { worker, _ in
      let (lost, crashed) = (UUID(), UUID())
      _ = await worker.start(lost)
      try await eventually("runs") { FileManager.default.fileExists(atPath: "\(worker.folder)/first") }
      _ = await worker.start(crashed)
      try await eventually("crashed") { await worker.state(crashed) == .failed }
      #expect(await worker.status(crashed)?.errorMessage?.hasPrefix("the agent was killed by signal 11") == true)
      await worker.process.die()
      for pid in WorkerTestCluster.processes(of: lost) { kill(pid, SIGKILL) }
      try await worker.restart()
      try await eventually("lost") { await worker.state(lost) == .failed }
      #expect(await worker.status(lost)?.errorMessage?.contains("the worker was restarted") == true)
      #expect(await worker.stop() == 0)
    }
  }

  @Test(
    "an agent whose shell was killed leaves nothing behind, without any right as well",
    arguments: [WorkerTestCluster.Isolation.off, .unprivileged])
  func leaderKilled(_ isolation: WorkerTestCluster.Isolation) async throws {
    try await withWorker(agent: "echo $$ >>FOLDER/pids; echo begun; sleep 1000", isolation: isolation) { worker, _ in
      let id = UUID()
      _ = await worker.start(id)
      try await eventually("runs") { try await worker.messages(id) == ["begun"] }
      let leader = getpgid(try #require(worker.lines("pids").first.flatMap { Int32($0) }))
      #expect(leader > 1)
      kill(leader, SIGKILL)
      try await eventually("ended") { await worker.state(id) == .failed }
      try await eventually("nothing is left") { WorkerTestCluster.processes(of: id).isEmpty }
      #expect(await worker.stop() == 0)
    }
  }

  @Test(
    "what a run leaves in its temporary folder goes with it, also what it has protected",
    arguments: WorkerTestCluster.Isolation.real)
  func temporary(_ isolation: WorkerTestCluster.Isolation) async throws {
    let agent = "cd \"$TMPDIR\" && mkdir -p a/b && echo x >a/b/c && chmod 555 a/b a && echo kept"
    try await withWorker(agent: agent, isolation: isolation) { worker, _ in
      let id = UUID()
      _ = await worker.start(id)
      try await eventually("completed: \(worker.process.output)") { await worker.state(id) == .completed }
      #expect(try await worker.messages(id) == ["kept"])
      try await eventually("removed") {
        try FileManager.default.contentsOfDirectory(atPath: "\(worker.folder)/state.sqlite-agents").isEmpty
      }
      #expect(await worker.stop() == 0)
    }
  }
}
