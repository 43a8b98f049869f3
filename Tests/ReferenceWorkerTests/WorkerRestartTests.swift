import FoundationEssentials
import Glibc
import Logging
import Primitives
import Reviews
import ServiceLifecycle
import Support
import Testing
import WorkerAPI
import WorkerClient

@testable import ReferenceWorker

/// The death of a whole process is tested on the executable, by the fault tests.
@Suite("Restarts of the reference worker")
struct WorkerRestartTests {
  @Test("after a restart every run is known with its events, and the same start again changes nothing")
  func remembers() async throws {
    let folder = try makeFolder()
    let request = startRequest()
    for launch in 1...2 {
      try await TestWorker.run({
        $0.statePath = "\(folder)/state.sqlite"
        $0.agentCommand = "echo x >> \(folder)/runs; echo said"
      }) { worker in
        #expect(await worker.start(request).isDispatched)
        try await eventually { await worker.state(of: request.reviewId) == .completed }
        #expect(try await worker.client.events(of: request.reviewId).map(\.message) == ["said"])
        if launch == 2 { #expect(worker.callbacks.received.isEmpty) }
      }
    }
    #expect(FileManager.default.contents(atPath: "\(folder)/runs") == Data("x\n".utf8))
  }

  @Test("a cancel of what is not known yet, and runs that wait, survive a restart")
  func remembersWaiting() async throws {
    let folder = try makeFolder()
    let (cancelled, first, waiting) = (UUID(), UUID(), UUID())
    let configure: @Sendable (inout WorkerConfiguration) -> Void = {
      $0.statePath = "\(folder)/state.sqlite"
      $0.concurrency = 1
      $0.drainTimeout = .milliseconds(1)
      $0.agentCommand = "echo $BATON_REVIEW_ID >> \(folder)/runs; until [ -e \(folder)/go ]; do sleep 0.02; done"
    }
    try await TestWorker.run(configure) { worker in
      #expect(await worker.client.cancel(cancelled, reason: nil, attempt: 1) == .done(success: true))
      #expect(await worker.start(startRequest(first)).isDispatched)
      try await eventually { FileManager.default.fileExists(atPath: "\(folder)/runs") }
      #expect(await worker.start(startRequest(waiting)).isDispatched)
    }
    #expect(FileManager.default.createFile(atPath: "\(folder)/go", contents: nil))
    try await TestWorker.run(configure) { worker in
      guard case .dispatched(let response) = await worker.start(startRequest(cancelled)) else {
        Issue.record("not dispatched")
        return
      }
      #expect(response.status == .cancelled)
      try await eventually { await worker.state(of: waiting) == .completed }
      #expect(await worker.state(of: first) == .completed)
    }
    let runs = try #require(FileManager.default.contents(atPath: "\(folder)/runs"))
    #expect(String(decoding: runs, as: UTF8.self) == "\(first.lowercase)\n\(waiting.lowercase)\n")
  }

  @Test(
    "an agent that outlives the drain timeout goes on, and the next worker follows it: it runs once, and no line is lost"
  )
  func outlivesDrain() async throws {
    let folder = try makeFolder()
    let request = startRequest()
    let callbacks = CallbackReceiver()
    let configure: @Sendable (inout WorkerConfiguration) -> Void = {
      $0.statePath = "\(folder)/state.sqlite"
      $0.drainTimeout = .milliseconds(1)
      $0.agentCommand =
        "echo x >> \(folder)/runs; echo first; printf half; until [ -e \(folder)/go ]; do sleep 0.02; done; echo ' a line'"
    }
    try await TestWorker.run(configure, callbacks: callbacks) { worker in
      #expect(await worker.start(request).isDispatched)
      try await eventually { try await worker.client.events(of: request.reviewId).map(\.message) == ["first"] }
    }
    #expect(callbacks.statuses(of: request.reviewId) == [.running])
    try await TestWorker.run(configure) { worker in
      #expect(await worker.state(of: request.reviewId) == .running)
      #expect(FileManager.default.createFile(atPath: "\(folder)/go", contents: nil))
      try await eventually { worker.callbacks.statuses(of: request.reviewId) == [.completed] }
      #expect(try await worker.client.events(of: request.reviewId).map(\.message) == ["first", "half a line"])
    }
    #expect(FileManager.default.contents(atPath: "\(folder)/runs") == Data("x\n".utf8))
  }

  @Test("a run whose agent is ended together with the worker fails, or begins again as the same attempt, as is set")
  func endedTogether() async throws {
    for (lost, state, runs) in [(LostRuns.fail, RunState.failed, "1\n"), (.restart, .completed, "1\n1\n")] {
      let folder = try makeFolder()
      let request = startRequest()
      for launch in 1...2 {
        try await TestWorker.run({
          $0.statePath = "\(folder)/state.sqlite"
          $0.lostRuns = lost
          $0.drainTimeout = .seconds(60)
          $0.agentCommand =
            "echo $$ > \(folder)/pid; echo $BATON_ATTEMPT >> \(folder)/runs; [ -e \(folder)/go ] || sleep 1000"
        }) { worker in
          guard launch == 1 else { return try await eventually { await worker.state(of: request.reviewId) == state } }
          #expect(await worker.start(request).isDispatched)
          try await eventually { FileManager.default.contents(atPath: "\(folder)/runs") == Data("1\n".utf8) }
          await worker.services.triggerGracefulShutdown()
          let pid = try #require(FileManager.default.contents(atPath: "\(folder)/pid"))
          let group = getpgid(try #require(Int32(String(decoding: pid.dropLast(), as: UTF8.self))))
          #expect(FileManager.default.createFile(atPath: "\(folder)/go", contents: nil))
          #expect(group > 1 && kill(-group, SIGTERM) == 0)
        }
      }
      #expect(FileManager.default.contents(atPath: "\(folder)/runs") == Data(runs.utf8))
    }
  }

  @Test("callbacks that no server accepted are sent by the next worker, in order")
  func callbacksSurvive() async throws {
    let folder = try makeFolder()
    let request = startRequest()
    let state: @Sendable (inout WorkerConfiguration) -> Void = {
      $0.statePath = "\(folder)/state.sqlite"
      $0.agentCommand = "echo '{\"sessionId\":\"s\"}'"
    }
    let deaf = CallbackReceiver(answers: Array(repeating: 503, count: 10_000))
    try await TestWorker.run(state, callbacks: deaf) { worker in
      #expect(await worker.start(request).isDispatched)
      try await eventually { await worker.state(of: request.reviewId) == .completed }
      try await eventually { deaf.received.count >= 2 }
    }
    try await TestWorker.run(state) { worker in
      try await eventually { worker.callbacks.statuses(of: request.reviewId).last == .completed }
      #expect(worker.callbacks.statuses(of: request.reviewId) == [.running, .completed])
      #expect(worker.callbacks.received.last?.callback.sessionId == "s")
      #expect(worker.callbacks.received.last?.authorization == "Bearer \(request.authToken)")
    }
  }

  @Test("an agent that prints without end is ended, and its run fails")
  func overflow() async throws {
    try await TestWorker.run({
      $0.agentCommand = "yes"
      $0.outputByteCountMax = 1 << 20
    }) { worker in
      let request = startRequest()
      #expect(await worker.start(request).isDispatched)
      try await eventually { await worker.state(of: request.reviewId) == .failed }
      #expect(try await worker.status(of: request.reviewId).errorMessage?.contains("printed more") == true)
    }
  }

  @Test("nothing of an ended run is left next to the state, and no secret in it")
  func leavesNothing() async throws {
    let folder = try makeFolder()
    try await TestWorker.run({
      $0.statePath = "\(folder)/state.sqlite"
      $0.agentCommand = "echo $GITHUB_TOKEN; echo $GITHUB_TOKEN >&2; cat >/dev/null"
    }) { worker in
      let request = startRequest(prompt: "a very private prompt " + String(repeating: "x", count: 100_000))
      #expect(await worker.start(request).isDispatched)
      try await eventually { worker.callbacks.statuses(of: request.reviewId).last == .completed }
      try await eventually {
        let files = try FileManager.default.subpathsOfDirectory(atPath: folder)
        let bytes = files.flatMap { Array(FileManager.default.contents(atPath: "\(folder)/\($0)") ?? Data()) }
        return files.allSatisfy { !$0.contains(request.reviewId.lowercase) }
          && [request.authToken, "ghs_0123456789", "a very private prompt"].allSatisfy {
            bytes.ranges(of: Array($0.utf8)).isEmpty
          }
      }
      #expect(try await worker.client.events(of: request.reviewId).map(\.message) == ["***"])
    }
  }

  @Test("a hundred starts at once are all durable, and each runs once")
  func manyStarts() async throws {
    let folder = try makeFolder()
    try await TestWorker.run({
      $0.agentCommand = "echo $BATON_REVIEW_ID >> \(folder)/runs"
      $0.concurrency = 8
    }) { worker in
      let ids = (0..<100).map { _ in UUID() }
      await withTaskGroup(of: Bool.self) { group in
        for id in ids { group.addTask { await worker.start(startRequest(id)).isDispatched } }
        for await isDispatched in group { #expect(isDispatched) }
      }
      for id in ids { try await eventually { await worker.state(of: id) == .completed } }
      let runs = try #require(FileManager.default.contents(atPath: "\(folder)/runs"))
      #expect(
        String(decoding: runs, as: UTF8.self).split(separator: "\n").map(String.init).sorted()
          == ids.map(\.lowercase).sorted())
    }
  }
}
