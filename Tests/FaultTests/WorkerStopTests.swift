import Foundation
import Primitives
import Reviews
import Support
import Testing
import WorkerAPI

@Suite("Stopped worker", .timeLimit(.minutes(5)))
struct WorkerStopTests {
  /// Numbers until it may end.
  private static let counting = """
    echo $$ >>FOLDER/begun; n=0
    until [ -e FOLDER/go ]; do n=$((n+1)); echo "line $n"; sleep 0.02; done
    echo '{"sessionId":"s-1"}'; echo end
    """

  @Test(
    "a run that outlives the drain of a SIGTERM goes on and is completed after the restart, once, with every event, however often",
    arguments: ["fail", "restart"])
  func outlivesDrain(_ setting: String) async throws {
    let settings = ["BATON_DRAIN_TIMEOUT": "300ms", "BATON_WORKER_LOST_RUNS": setting]
    try await withWorker(agent: Self.counting, concurrency: 1, settings: settings) { worker, sink in
      let (running, waiting) = (UUID(), UUID())
      let trace = TraceContext()
      _ = await worker.start(running, trace: trace)
      try await eventually("events") { try await worker.messages(running).count > 2 }
      #expect(await worker.start(waiting)?.status == .queued)
      for _ in 0..<3 {
        #expect(await worker.stop() == 0, "\(worker.process.output)")
        expectTrace(trace, of: running, in: worker.process.output)
        let pid = try #require(worker.lines("begun").first.flatMap { Int32($0) })
        #expect(WorkerTestCluster.isAlive(pid))
        try await worker.restart()
        #expect(await worker.start(running)?.status == .running)
        #expect(await worker.state(waiting) == .queued)
        let count = try await worker.messages(running).count
        try await eventually("new events") { try await worker.messages(running).count > count }
      }
      worker.touch("go")
      for id in [running, waiting] {
        try await eventually("reported") { sink.statuses(of: id).last == .completed }
        let messages = try await worker.messages(id)
        #expect(messages == (0..<messages.count - 1).map { "line \($0 + 1)" } + ["end"], "nothing lost, nothing twice")
        #expect(Set(sink.statuses(of: id)) == [.running, .completed])
      }
      #expect(worker.lines("begun").count == 2, "each began once")
      #expect(await worker.stop() == 0)
      expectTrace(trace, of: running, in: worker.process.output)
    }
  }

  /// Every line of the log about a run names its trace, after a restart too.
  private func expectTrace(_ trace: TraceContext, of id: UUID, in output: String) {
    let lines = output.split(separator: "\n").filter { $0.contains("review=\(id.uuidString.lowercased())/1") }
    #expect(!lines.isEmpty && lines.allSatisfy { $0.contains("trace=\(trace.traceID)") }, "\(lines)")
  }

  /// How a supervisor ends the agents with the worker.
  enum Sweep: String, CaseIterable {
    /// systemd: TERM to all at once.
    case term
    /// A container's end: what is left when the worker has ended is killed.
    case kill
  }

  @Test(
    "a run whose agent is ended with the worker, by systemd or with its container, fails or begins again, as is set",
    arguments: Sweep.allCases, ["fail", "restart"])
  func endedTogether(_ sweep: Sweep, _ setting: String) async throws {
    let agent = "echo $$ >>FOLDER/pids; echo said; [ -e FOLDER/go ] || sleep 1000"
    let settings = ["BATON_DRAIN_TIMEOUT": sweep == .term ? "10s" : "100ms", "BATON_WORKER_LOST_RUNS": setting]
    try await withWorker(agent: agent, settings: settings) { worker, sink in
      let id = UUID()
      _ = await worker.start(id)
      try await eventually("runs") { try await worker.messages(id) == ["said"] }
      // The command leads no group: its shell does.
      let group = getpgid(try #require(worker.lines("pids").first.flatMap { Int32($0) }))
      #expect(group > 1)
      worker.touch("go")
      if sweep == .term { kill(-group, SIGTERM) }
      #expect(await worker.stop() == 0, "\(worker.process.output)")
      if sweep == .kill { kill(-group, SIGKILL) }
      try await worker.restart()
      let end: RunState = setting == "fail" ? .failed : .completed
      try await eventually("ended") { await worker.state(id) == end }
      try await eventually("reported") { sink.statuses(of: id).last?.rawValue == end.rawValue }
      #expect(sink.statuses(of: id).count { $0 != .running } == 1)
      #expect(worker.lines("pids").count == (setting == "fail" ? 1 : 2))
      #expect(await worker.stop() == 0)
    }
  }
}
