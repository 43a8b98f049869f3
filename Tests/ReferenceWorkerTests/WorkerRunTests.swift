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

private func text(_ path: String) -> String? {
  FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
}

extension String {
  fileprivate var trimmed: String { String(prefix { !$0.isNewline }) }
}

private func isAlive(_ pid: String?) -> Bool {
  guard let pid = pid.flatMap({ Int32($0.split(separator: "\n").first ?? "") }) else { return false }
  // A zombie is dead.
  guard let stat = text("/proc/\(pid)/stat") else { return false }
  return !stat.contains(") Z ")
}

@Suite("Runs of the reference worker")
struct WorkerRunTests {
  @Test(
    "a demonstration completes a run at once, says that nothing was reviewed, and passes no gate",
    arguments: [nil, "off", "all", "warning", "critical"])
  func demonstration(_ threshold: String?) async throws {
    // Without a result, both platforms would let the pull request pass.
    let gate: GateResult? = threshold == nil || threshold == "off" ? nil : .fail
    let request = gated(threshold)
    try await TestWorker.run { worker in
      guard case .dispatched(let response) = await worker.start(request) else {
        Issue.record("not dispatched")
        return
      }
      #expect(response.agentVersion == "7")
      try await eventually { worker.callbacks.statuses(of: request.reviewId).last == .completed }
      #expect(worker.callbacks.statuses(of: request.reviewId).first == .running)
      let status = try await worker.status(of: request.reviewId)
      #expect(
        status.state == .completed && status.sessionId != nil && status.startedAt != nil && status.completedAt != nil)
      let events = try await worker.client.events(of: request.reviewId)
      #expect(events.count == 1 && events[0].message?.contains("nothing was reviewed") == true)
      #expect(worker.callbacks.received.last?.callback.gateResult == gate)
    }
  }

  private func gated(_ threshold: String?) -> StartRequest {
    var request = startRequest()
    request.sessionInput.gateThreshold = threshold
    return request
  }

  @Test("the agent gets the payload, its tokens, and none of the worker's secrets")
  func agentInput() async throws {
    let folder = try makeFolder()
    try await TestWorker.run({ $0.agentCommand = "cat > \(folder)/in; env > \(folder)/env" }) { worker in
      let request = startRequest(prompt: String(repeating: "a line of \"diff\"\n", count: 50_000))
      #expect(await worker.start(request).isDispatched)
      try await eventually { await worker.state(of: request.reviewId) == .completed }
      let payload = try #require(FileManager.default.contents(atPath: "\(folder)/in"))
      #expect(Array(payload) == request.encode())
      let lines = try #require(text("\(folder)/env")).split(separator: "\n")
      #expect(lines.contains("GITHUB_TOKEN=ghs_0123456789"))
      #expect(lines.contains("BATON_AUTH_TOKEN=\(request.authToken)"))
      #expect(lines.contains("BATON_REVIEW_ID=\(request.reviewId.lowercase)") && lines.contains("BATON_ATTEMPT=1"))
      #expect(!lines.contains { $0.contains("hidden") || $0.hasPrefix("GITLAB_TOKEN") })
    }
  }

  @Test("a run has a span of the start's trace: its agent is given it, and its callbacks carry it")
  func trace() async throws {
    let folder = try makeFolder()
    try await TestWorker.run({ $0.agentCommand = "echo $TRACEPARENT > \(folder)/trace" }) { worker in
      let request = startRequest()
      let trace = TraceContext()
      #expect(await worker.start(request, trace: trace).isDispatched)
      #expect(await worker.start(request, trace: TraceContext()).isDispatched)
      try await eventually { worker.callbacks.statuses(of: request.reviewId).last == .completed }
      let span = try #require(TraceContext(traceparent: text("\(folder)/trace")?.trimmed ?? ""))
      #expect(span.traceID == trace.traceID && span.spanID != trace.spanID)
      #expect(worker.callbacks.received.allSatisfy { $0.traceparent == span.traceparent })
    }
  }

  @Test(
    "a start without a trace, or with a malformed one, runs without: not even with the worker's own",
    arguments: [nil, "", "00-0-0-01", "00-00000000000000000000000000000000-0000000000000000-01"])
  func noTrace(_ header: String?) async throws {
    let folder = try makeFolder()
    try await TestWorker.run({
      $0.agentCommand = "echo \"[$TRACEPARENT]\" > \(folder)/trace"
      $0.environment["TRACEPARENT"] = TraceContext().traceparent
    }) { worker in
      let request = startRequest()
      let headers = header.map { [("traceparent", $0)] } ?? []
      #expect(try await worker.raw("POST", "/review", body: request.encode(), headers: headers).status == 202)
      try await eventually { worker.callbacks.statuses(of: request.reviewId).last == .completed }
      #expect(text("\(folder)/trace") == "[]\n")
      #expect(worker.callbacks.received.allSatisfy { $0.traceparent == nil })
    }
  }

  @Test("lines of output are events, and their details reach the callback; tokens do not")
  func output() async throws {
    let command = #"""
      echo plain; echo "token $GITHUB_TOKEN and $BATON_AUTH_TOKEN"
      echo '{"event":"finding","message":"leak","sessionId":"s-1"}'
      echo '{"usage":{"model":"m","totalTokensIn":10,"totalTokensOut":20,"totalCostMicroUSD":30},"gateResult":"fail"}'
      printf 'no line end'
      """#
    try await TestWorker.run({ $0.agentCommand = command }) { worker in
      let request = startRequest()
      #expect(await worker.start(request).isDispatched)
      try await eventually { worker.callbacks.statuses(of: request.reviewId).last == .completed }
      let events = try await worker.client.events(of: request.reviewId)
      #expect(events.map(\.message) == ["plain", "token *** and ***", "leak", "no line end"])
      #expect(events.map(\.eventType) == ["output", "output", "finding", "output"])
      let last = try #require(worker.callbacks.received.last)
      #expect(last.callback.sessionId == "s-1" && last.callback.gateResult == .fail && last.callback.attempt == 1)
      #expect(
        last.callback.usage
          == Usage(model: "m", totalTokensIn: 10, totalTokensOut: 20, totalCostMicroUSD: 30))
      #expect(last.authorization == "Bearer \(request.authToken)" && last.secret == nil)
    }
  }

  @Test("all of a fast agent's output is read, and the newest of it kept")
  func muchOutput() async throws {
    try await TestWorker.run({ $0.agentCommand = "seq 1 30000" }) { worker in
      let request = startRequest()
      #expect(await worker.start(request).isDispatched)
      try await eventually { await worker.state(of: request.reviewId) == .completed }
      let events = try await worker.client.events(of: request.reviewId)
      #expect(events.count == 10_000 && events.first?.message == "20001" && events.last?.message == "30000")
    }
  }

  @Test("an agent that reads nothing of a large payload is no failure")
  func ignoresInput() async throws {
    try await TestWorker.run({ $0.agentCommand = "exit 0" }) { worker in
      let request = startRequest(prompt: String(repeating: "x", count: 3 << 20))
      #expect(await worker.start(request).isDispatched)
      try await eventually { await worker.state(of: request.reviewId)?.isTerminal == true }
      #expect(await worker.state(of: request.reviewId) == .completed)
    }
  }

  @Test("an agent's failure is reported with the end of its output")
  func failure() async throws {
    try await TestWorker.run({ $0.agentCommand = "echo \"no model $GITHUB_TOKEN\" >&2; exit 3" }) { worker in
      let request = startRequest()
      #expect(await worker.start(request).isDispatched)
      try await eventually { worker.callbacks.statuses(of: request.reviewId).last == .failed }
      #expect(worker.callbacks.received.last?.callback.errorMessage == "the agent exited with status 3: no model ***")
    }
  }

  @Test("a run over its time is ended with its whole process group, also if that ignores TERM")
  func timeOut() async throws {
    let folder = try makeFolder()
    let command = "trap '' TERM; (trap '' TERM; echo $$ > \(folder)/pid; sleep 1000) & echo $! > \(folder)/child; wait"
    try await TestWorker.run({
      $0.agentCommand = command
      $0.minute = .milliseconds(100)
    }) { worker in
      let request = startRequest(minutes: 5)
      #expect(await worker.start(request).isDispatched)
      try await eventually { worker.callbacks.statuses(of: request.reviewId).last == .failed }
      #expect(worker.callbacks.received.last?.callback.errorMessage?.hasPrefix("timeout") == true)
      try await eventually { text("\(folder)/child") != nil && !isAlive(text("\(folder)/child")) }
    }
  }

  @Test("what an agent leaves behind when it ends is killed")
  func leftBehind() async throws {
    let folder = try makeFolder()
    try await TestWorker.run({ $0.agentCommand = "sleep 1000 & echo $! > \(folder)/child; echo done" }) { worker in
      let request = startRequest()
      #expect(await worker.start(request).isDispatched)
      try await eventually { await worker.state(of: request.reviewId) == .completed }
      #expect(try await worker.client.events(of: request.reviewId).map(\.message) == ["done"])
      try await eventually { !isAlive(text("\(folder)/child")) }
    }
  }

  @Test("an agent that closes its output is waited for")
  func closesOutput() async throws {
    let folder = try makeFolder()
    let command = "exec >/dev/null 2>&1; until [ -e \(folder)/go ]; do sleep 0.02; done; exit 4"
    try await TestWorker.run({ $0.agentCommand = command }) { worker in
      let request = startRequest()
      #expect(await worker.start(request).isDispatched)
      try await eventually { await worker.state(of: request.reviewId) == .running }
      #expect(FileManager.default.createFile(atPath: "\(folder)/go", contents: nil))
      try await eventually { await worker.state(of: request.reviewId) == .failed }
    }
  }

  @Test("a cancel ends the agent, and the run is cancelled")
  func cancel() async throws {
    let folder = try makeFolder()
    try await TestWorker.run({ $0.agentCommand = "echo $$ > \(folder)/pid; sleep 1000" }) { worker in
      let request = startRequest()
      #expect(await worker.start(request).isDispatched)
      try await eventually { text("\(folder)/pid")?.hasSuffix("\n") == true }
      #expect(await worker.client.cancel(request.reviewId, reason: "superseded", attempt: 1) == .done(success: true))
      try await eventually { worker.callbacks.statuses(of: request.reviewId).last == .cancelled }
      #expect(try await worker.status(of: request.reviewId).errorMessage == "superseded")
      try await eventually { !isAlive(text("\(folder)/pid")) }
    }
  }

  @Test("a cancel that comes before its start keeps the run from beginning")
  func cancelFirst() async throws {
    let folder = try makeFolder()
    try await TestWorker.run({ $0.agentCommand = "echo ran >> \(folder)/runs" }) { worker in
      let id = UUID()
      #expect(await worker.client.cancel(id, reason: nil, attempt: 1) == .done(success: true))
      #expect(
        await worker.start(startRequest(id))
          == .dispatched(StartResponse(reviewId: id, status: .cancelled, agentVersion: "7")))
      #expect(await worker.start(startRequest(id, attempt: 2)).isDispatched)
      try await eventually { await worker.state(of: id) == .completed }
      #expect(text("\(folder)/runs") == "ran\n")
    }
  }

  @Test("twenty starts of one attempt at once run it once, whatever they are answered")
  func startsOnce() async throws {
    let folder = try makeFolder()
    try await TestWorker.run({ $0.agentCommand = "echo $BATON_ATTEMPT >> \(folder)/runs" }) { worker in
      let request = startRequest()
      await withTaskGroup(of: Bool.self) { group in
        for _ in 0..<20 { group.addTask { await worker.start(request).isDispatched } }
        for await isDispatched in group { #expect(isDispatched) }
      }
      try await eventually { await worker.state(of: request.reviewId) == .completed }
      #expect(
        await worker.start(request)
          == .dispatched(StartResponse(reviewId: request.reviewId, status: .completed, agentVersion: "7")))
      #expect(text("\(folder)/runs") == "1\n")
    }
  }

  @Test("a newer attempt ends the older agent before its own begins")
  func newerAttempt() async throws {
    let folder = try makeFolder()
    let command = """
      echo "begin $BATON_ATTEMPT" >> \(folder)/log
      trap 'echo "end $BATON_ATTEMPT" >> \(folder)/log; exit 0' TERM
      [ $BATON_ATTEMPT = 1 ] && while :; do sleep 0.02; done
      exit 0
      """
    try await TestWorker.run({
      $0.agentCommand = command
      $0.killGrace = .seconds(20)
    }) { worker in
      let id = UUID()
      #expect(await worker.start(startRequest(id)).isDispatched)
      try await eventually { text("\(folder)/log") == "begin 1\n" }
      #expect(await worker.start(startRequest(id, attempt: 2)).isDispatched)
      try await eventually { await worker.state(of: id) == .completed }
      #expect(text("\(folder)/log") == "begin 1\nend 1\nbegin 2\n")
      #expect(try await worker.status(of: id).attempt == 2)
    }
  }

  @Test("agents beyond the limit wait in order")
  func concurrency() async throws {
    let folder = try makeFolder()
    let command = "echo x >> \(folder)/begun; until [ -e \(folder)/go ]; do sleep 0.02; done"
    try await TestWorker.run({
      $0.agentCommand = command
      $0.concurrency = 2
    }) { worker in
      let ids = (0..<4).map { _ in UUID() }
      for id in ids { #expect(await worker.start(startRequest(id)).isDispatched) }
      try await eventually { text("\(folder)/begun") == "x\nx\n" }
      var states: [RunState?] = []
      for id in ids { states.append(await worker.state(of: id)) }
      #expect(states == [.running, .running, .queued, .queued])
      #expect(FileManager.default.createFile(atPath: "\(folder)/go", contents: nil))
      for id in ids { try await eventually { await worker.state(of: id) == .completed } }
    }
  }

  @Test(
    "a shutdown lets an agent end and its callback be sent; until then calls are answered, and nothing new is accepted")
  func drains() async throws {
    let folder = try makeFolder()
    let callbacks = CallbackReceiver()
    let id = UUID()
    let command = "echo x >> \(folder)/begun; until [ -e \(folder)/go ]; do sleep 0.02; done"
    try await TestWorker.run(
      {
        $0.agentCommand = command
        $0.concurrency = 1
        $0.drainTimeout = .seconds(60)
      }, callbacks: callbacks
    ) { worker in
      #expect(await worker.start(startRequest(id, attempt: 2)).isDispatched)
      try await eventually { text("\(folder)/begun") != nil }
      await worker.services.triggerGracefulShutdown()
      try await eventually {
        guard case .throttled(let pause, _) = await worker.start(startRequest()) else { return false }
        return pause == .seconds(5)
      }
      #expect(try await worker.raw("POST", "/review", body: startRequest(id, attempt: 3).encode()).status == 503)
      #expect(try await worker.raw("POST", "/review", body: startRequest(id, attempt: 1).encode()).status == 409)
      #expect(await worker.start(startRequest(id, attempt: 2)).isDispatched)
      #expect(await worker.state(of: id) == .running)
      #expect(FileManager.default.createFile(atPath: "\(folder)/go", contents: nil))
    }
    #expect(callbacks.statuses(of: id) == [.running, .completed])
    #expect(text("\(folder)/begun") == "x\n")
  }
}

@Suite("End of the reference worker")
struct WorkerEndTests {
  @Test("a worker whose task is cancelled ends at once, and leaves its agents alone")
  func cancelled() async throws {
    let folder = try makeFolder()
    let (ports, bound) = AsyncStream.makeStream(of: Int.self)
    var configuration = WorkerConfiguration(token: token, statePath: "\(folder)/state.sqlite")
    configuration.environment = ["PATH": "/usr/bin:/bin"]
    configuration.agentCommand = "echo $$ > \(folder)/pid; until [ -e \(folder)/go ]; do sleep 0.02; done"
    configuration.onBound = { bound.yield($0) }
    var quiet = Logger(label: "worker")
    quiet.logLevel = .critical
    let worker = ReferenceWorker(configuration: configuration, logger: quiet)
    let task = Task { try await worker.run() }
    var iterator = ports.makeAsyncIterator()
    let port = try #require(await iterator.next())
    let client = try WorkerClient(
      baseURL: "http://127.0.0.1:\(port)", token: token, timeout: .seconds(30), connectionMax: 64, logger: quiet)
    let request = startRequest()
    #expect(await client.start(request.encode(), reviewID: request.reviewId, attempt: 1, trace: nil).isDispatched)
    try await eventually { text("\(folder)/pid")?.hasSuffix("\n") == true }
    task.cancel()
    _ = try? await task.value
    #expect(isAlive(text("\(folder)/pid")))
    #expect(FileManager.default.createFile(atPath: "\(folder)/go", contents: nil))
    try await eventually { !isAlive(text("\(folder)/pid")) }
  }
}

@Suite("Callbacks of the reference worker")
struct WorkerCallbackTests {
  @Test("a run is reported as running when its agent begins, although the agent prints nothing yet")
  func silentAgent() async throws {
    let folder = try makeFolder()
    try await TestWorker.run({ $0.agentCommand = "until [ -e \(folder)/go ]; do sleep 0.02; done" }) { worker in
      let request = startRequest()
      #expect(await worker.start(request).isDispatched)
      try await eventually { worker.callbacks.statuses(of: request.reviewId) == [.running] }
      #expect(FileManager.default.createFile(atPath: "\(folder)/go", contents: nil))
      try await eventually { worker.callbacks.statuses(of: request.reviewId) == [.running, .completed] }
    }
  }

  @Test("a callback is sent again until it is accepted, and order is kept")
  func retries() async throws {
    let callbacks = CallbackReceiver(answers: [500, 503, 429, 408, 200, 502, 200])
    try await TestWorker.run({ $0.callbackSecret = Secret("shared") }, callbacks: callbacks) { worker in
      let request = startRequest()
      #expect(await worker.start(request).isDispatched)
      try await eventually { callbacks.statuses(of: request.reviewId).last == .completed }
      #expect(callbacks.received.allSatisfy { $0.secret == "shared" && $0.authorization == nil })
      let order = callbacks.received.map { $0.callback.status == .running ? 0 : 1 }
      #expect(order == order.sorted())
      #expect(callbacks.received.count { $0.answer != 200 } == 5)
    }
  }

  @Test("a running that Baton does not want is dropped, the last word is sent again, and no other review waits for it")
  func refused() async throws {
    let callbacks = CallbackReceiver(answers: [404, 404])
    try await TestWorker.run({ $0.agentCommand = "exit 0" }, callbacks: callbacks) { worker in
      let first = startRequest()
      #expect(await worker.start(first).isDispatched)
      try await eventually { callbacks.received.count == 2 }
      let second = startRequest()
      #expect(await worker.start(second).isDispatched)
      try await eventually { callbacks.statuses(of: second.reviewId) == [.running, .completed] }
      try await eventually { callbacks.statuses(of: first.reviewId) == [.completed] }
    }
  }
}
