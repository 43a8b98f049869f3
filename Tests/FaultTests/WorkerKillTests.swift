import Foundation
import Reviews
import Support
import Testing
import WorkerAPI
import WorkerClient

@Suite("Killed worker", .timeLimit(.minutes(5)))
struct WorkerKillTests {
  /// Says which run it is, then numbers until it may end.
  private static let counting = """
    echo "$BATON_REVIEW_ID/$BATON_ATTEMPT" >>FOLDER/begun; n=0
    until [ -e FOLDER/go ]; do n=$((n+1)); echo "line $n"; sleep 0.02; done
    echo '{"sessionId":"s-1","usage":{"model":"m","totalTokensIn":7}}'; echo "$n" >FOLDER/count; echo end
    """

  @Test("agents outlive a killed worker: the next one follows them, with every line, and what waited runs")
  func adopts() async throws {
    try await withWorker(agent: Self.counting, concurrency: 2) { worker, sink in
      let ids = (0..<4).map { _ in UUID() }
      for id in ids { #expect(await worker.start(id)?.status == .queued) }
      try await eventually("two run") { worker.lines("begun").count == 2 }
      try await eventually("events") { try await worker.messages(ids[0]).count > 5 }
      await worker.process.die()
      // The agents go on in the meantime.
      try await worker.restart()
      for (id, state) in zip(ids, [RunState.running, .running, .queued, .queued]) {
        #expect(await worker.state(id) == state)
        #expect(await worker.start(id)?.status == state, "the same start again changes nothing")
      }
      let before = try await worker.messages(ids[0]).count
      try await eventually("new events") { try await worker.messages(ids[0]).count > before }
      worker.touch("go")
      for id in ids { try await eventually("\(id) is completed") { await worker.state(id) == .completed } }
      for id in ids {
        let messages = try await worker.messages(id)
        #expect(messages.last == "end")
        #expect(
          messages.dropLast() == (0..<messages.count - 1).map { "line \($0 + 1)" }[...], "nothing lost, nothing twice")
        #expect(await worker.status(id)?.usage?.totalTokensIn == 7)
        try await eventually("reported") { sink.statuses(of: id).last == .completed }
        #expect(sink.statuses(of: id).first == .running)
        #expect(await worker.start(id)?.status == .completed)
      }
      #expect(
        worker.lines("begun").sorted() == ids.map { "\($0.uuidString.lowercased())/1" }.sorted(), "each began once")
      #expect(await worker.stop() == 0, "\(worker.process.output)")
    }
  }

  @Test("an agent that ended while no worker was there is completed with all that it said")
  func endedMeanwhile() async throws {
    try await withWorker(agent: Self.counting) { worker, sink in
      let id = UUID()
      _ = await worker.start(id)
      try await eventually("runs") { try await worker.messages(id).count > 2 }
      await worker.process.die()
      worker.touch("go")
      try await eventually("ended") { worker.lines("count").count == 1 }
      try await worker.restart()
      try await eventually("completed") { await worker.state(id) == .completed }
      let count = try #require(worker.lines("count").first.flatMap { Int($0) })
      #expect(try await worker.messages(id) == (0..<count).map { "line \($0 + 1)" } + ["end"])
      try await eventually("reported") { sink.statuses(of: id).last == .completed }
      #expect(await worker.stop() == 0)
    }
  }

  @Test("a run whose agent died with the worker fails, or begins again, as is set", arguments: ["fail", "restart"])
  func lost(_ setting: String) async throws {
    let agent = "echo $$ >>FOLDER/pids; echo said; [ -e FOLDER/go ] || sleep 1000"
    try await withWorker(agent: agent, settings: ["BATON_WORKER_LOST_RUNS": setting]) { worker, sink in
      let id = UUID()
      _ = await worker.start(id)
      try await eventually("runs") { try await worker.messages(id) == ["said"] }
      await worker.process.die()
      // The command leads no group: its shell does.
      for group in worker.lines("pids").compactMap({ Int32($0) }).map({ getpgid($0) }) where group > 1 {
        kill(-group, SIGKILL)
      }
      worker.touch("go")
      try await worker.restart()
      let end: RunState = setting == "fail" ? .failed : .completed
      try await eventually("ended") { await worker.state(id) == end }
      #expect(worker.lines("pids").count == (setting == "fail" ? 1 : 2))
      try await eventually("reported") { sink.statuses(of: id).last?.rawValue == end.rawValue }
      #expect(await worker.stop() == 0)
    }
  }

  @Test("a cancel that was accepted holds over a kill: the agent is ended, a later start does not run")
  func cancelled() async throws {
    let agent = "echo $$ >>FOLDER/pids; trap '' TERM; while :; do sleep 0.1; done"
    try await withWorker(agent: agent) { worker, sink in
      let (running, unknown) = (UUID(), UUID())
      _ = await worker.start(running)
      try await eventually("runs") { worker.lines("pids").count == 1 }
      #expect(await worker.client.cancel(unknown, reason: nil, attempt: 1) == .done(success: true))
      #expect(await worker.client.cancel(running, reason: "superseded", attempt: 1) == .done(success: true))
      await worker.process.die()
      try await worker.restart()
      #expect(await worker.start(unknown)?.status == .cancelled)
      try await eventually("cancelled") { await worker.state(running) == .cancelled }
      let pid = try #require(worker.lines("pids").first.flatMap { Int32($0) })
      #expect(!WorkerTestCluster.isAlive(pid))
      try await eventually("reported") { sink.statuses(of: running).last == .cancelled }
      #expect(worker.lines("pids").count == 1)
      #expect(await worker.stop() == 0)
    }
  }

  @Test("a newer attempt that came before the kill begins after it, when the older agent has ended")
  func newerAttempt() async throws {
    let agent =
      "echo begin $BATON_ATTEMPT >>FOLDER/log; [ $BATON_ATTEMPT = 2 ] || { trap '' TERM; while :; do sleep 0.1; done; }"
    try await withWorker(agent: agent) { worker, sink in
      let id = UUID()
      _ = await worker.start(id)
      try await eventually("runs") { worker.lines("log").count == 1 }
      #expect(await worker.start(id, attempt: 2)?.status == .queued)
      await worker.process.die()
      try await worker.restart()
      try await eventually("completed") { await worker.status(id)?.status == .completed }
      #expect(await worker.status(id)?.attempt == 2)
      #expect(worker.lines("log") == ["begin 1", "begin 2"])
      #expect(await worker.start(id) == nil, "an older attempt is refused")
      try await eventually("reported") { sink.statuses(of: id).last == .completed }
      #expect(await worker.stop() == 0)
    }
  }

  @Test("callbacks that no server accepted are sent after a kill, in order, and then no secret is left in the state")
  func callbacks() async throws {
    try await withWorker(agent: "echo '{\"sessionId\":\"s\"}'; cat >/dev/null") { worker, sink in
      sink.isRefusing = true
      let ids = (0..<5).map { _ in UUID() }
      for id in ids { _ = await worker.start(id) }
      for id in ids { try await eventually("completed") { await worker.state(id) == .completed } }
      await worker.process.die()
      #expect(worker.stateContains("jwt-of-\(ids[0].uuidString)"), "the last callback needs it")
      try await worker.restart()
      sink.isRefusing = false
      for id in ids {
        try await eventually("reported") { sink.statuses(of: id) == [.running, .completed] }
        #expect(sink.received.last { $0.reviewID == id }?.callback.sessionId == "s")
      }
      try await eventually("wiped") {
        !["jwt-of-", "ghs_0123456789", "a private prompt"].contains { worker.stateContains($0) }
      }
      #expect(await worker.stop() == 0)
    }
  }

  @Test("killed again and again at any moment, every review runs once, and nothing that was said is lost")
  func again() async throws {
    let agent = """
      echo "$BATON_REVIEW_ID/$BATON_ATTEMPT" >>FOLDER/begun
      n=0; while [ $n -lt 40 ]; do n=$((n+1)); echo "line $n"; sleep 0.01; done
      """
    try await withWorker(agent: agent, concurrency: 6) { worker, sink in
      let ids = (0..<30).map { _ in UUID() }
      for round in 0..<6 {
        let begun = worker.lines("begun").count
        for id in ids[round * 5..<round * 5 + 5] { #expect(await worker.start(id) != nil) }
        try await eventually("something more has begun") { worker.lines("begun").count > begun }
        await worker.process.die()
        try await worker.restart()
      }
      for id in ids {
        try await eventually("completed") { await worker.state(id) == .completed }
        #expect(try await worker.messages(id) == (1...40).map { "line \($0)" })
        try await eventually("reported") { sink.statuses(of: id).last == .completed }
      }
      #expect(worker.lines("begun").sorted() == ids.map { "\($0.uuidString.lowercased())/1" }.sorted())
      #expect(await worker.stop() == 0)
    }
  }

  @Test("a second worker on the same state is refused, with what to do")
  func exclusive() async throws {
    try await withWorker(agent: "exit 0") { worker, _ in
      let second = try BatonProcess(["worker", "--port", "0"], settings: worker.settings)
      #expect(await second.wait() == 78, "\(second.output)")
      #expect(second.output.contains("BATON_WORKER_STATE"), "\(second.output)")
      #expect(await worker.stop() == 0)
    }
  }
}
