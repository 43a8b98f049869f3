import FoundationEssentials
import NIOCore
import NIOPosix
import Primitives
import Reviews
import Support
import Testing
import WorkerAPI
import WorkerClient

/// A step of the worker, and the class that its answer has.
struct Row: Sendable, CustomTestStringConvertible {
  var step: ScriptedStep
  var kind: OutcomeClass
  var testDescription: String { "\(step) is \(kind)" }

  init(_ step: ScriptedStep, _ kind: OutcomeClass) {
    self.step = step
    self.kind = kind
  }
}

private let rows = [
  Row(.accept, .dispatched),
  Row(.slow(.milliseconds(50)), .dispatched),
  Row(.hang, .ambiguous),
  Row(.hangs(starting: false), .ambiguous),
  Row(.cutAfterReading, .ambiguous),
  Row(.garbage, .ambiguous),
  Row(.acceptAsAnother, .ambiguous),
  Row(.noHTTP, .ambiguous),
  Row(.cutsInBody, .ambiguous),
  Row(.stallsInBody, .ambiguous),
  Row(.status(500), .ambiguous),
  Row(.status(502), .ambiguous),
  Row(.status(500, starting: true), .ambiguous),
  Row(.status(503), .ambiguous),
  Row(.status(503, retryAfter: "soon"), .ambiguous),
  Row(.status(503, retryAfter: "7"), .throttled(.seconds(7))),
  Row(.status(503, retryAfter: "Sun, 06 Nov 1994 08:49:37 GMT"), .throttled(.zero)),
  Row(.status(429), .throttled(nil)),
  Row(.status(429, retryAfter: "120"), .throttled(.seconds(120))),
  Row(.status(429, retryAfter: "nonsense"), .throttled(nil)),
]

@Suite("What an answer means")
struct ClassificationTests {
  @Test("the answer decides the class", arguments: rows)
  func answerDecides(row: Row) async throws {
    let worker = try await ScriptedWorker([row.step], token: token.reveal())
    // Long enough for any answer on a busy machine, short if the step has none.
    let client = try client(worker.url, timeout: row.endsByDeadline ? .seconds(1) : .seconds(30))
    let id = UUID()
    let outcome = await client.start(startRequest(id))
    #expect(outcome.kind == row.kind, "\(outcome)")
    #expect(worker.starts.map(\.idempotencyKey) == ["\(id.lowercase)/1"])
    #expect(!outcome.message.contains(token.reveal()))
    await worker.stop()
  }

  @Test("a worker whose clock is wrong is left alone for as long as it asks")
  func wrongClock() async throws {
    let worker = try await ScriptedWorker()
    let client = try client(worker.url)
    worker.front = ScriptedFront(
      503, #"{"error":"full"}"#,
      headers: ["retry-after": "Sun, 06 Nov 1994 08:49:37 GMT", "date": "Sun, 06 Nov 1994 08:49:07 GMT"])
    #expect(await client.start(startRequest(UUID())).kind == .throttled(.seconds(30)))
    await worker.stop()
  }

  @Test("a refused connection was never sent")
  func refusedConnection() async throws {
    let outcome = try await client("http://127.0.0.1:\(unusedPort())").start(startRequest(UUID()))
    #expect(outcome.kind == .unavailable, "\(outcome)")
    #expect(outcome.message.contains("could not be reached"))
  }

  @Test("a name that does not resolve was never sent")
  func unknownName() async throws {
    let outcome = try await client("http://worker.invalid:8080").start(startRequest(UUID()))
    #expect(outcome.kind == .unavailable, "\(outcome)")
  }

  @Test("TLS to a plaintext port was never sent")
  func plaintextPort() async throws {
    let worker = try await ScriptedWorker()
    let outcome = try await client(worker.url.replacing("http://", with: "https://")).start(startRequest(UUID()))
    #expect(outcome.kind == .unavailable, "\(outcome)")
    #expect(worker.starts.isEmpty)
    await worker.stop()
  }

  @Test("no connection in time was never sent")
  func connectTimeout() async throws {
    // A listener with a backlog of nothing that never accepts: the kernel drops the next SYN.
    let full = try FullListener()
    defer { full.close() }
    let outcome = try await client("http://127.0.0.1:\(full.port)", timeout: .seconds(1)).start(startRequest(UUID()))
    #expect(outcome.kind == .unavailable, "\(outcome)")
  }

  @Test("a start that is cancelled while it waits for a connection was never sent")
  func waitsForConnection() async throws {
    let worker = try await ScriptedWorker([.hang])
    let client = try client(worker.url, connectionMax: 1)
    let held = Task { await client.start(startRequest(UUID())) }
    try await eventually { worker.starts.count == 1 }
    let waiting = Task { await client.start(startRequest(UUID())) }
    try await Task.sleep(for: .milliseconds(50))
    waiting.cancel()
    #expect(await waiting.value.kind == .unavailable)
    #expect(worker.starts.count == 1)
    held.cancel()
    #expect(await held.value.kind == .ambiguous)
    await worker.stop()
  }

  @Test("one that waits in line gets the next free connection")
  func line() async throws {
    let worker = try await ScriptedWorker()
    let client = try client(worker.url, connectionMax: 2)
    let outcomes = await withTaskGroup(of: OutcomeClass.self) { group in
      for _ in 0..<50 { group.addTask { await client.start(startRequest(UUID())).kind } }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(outcomes == Array(repeating: .dispatched, count: 50))
    #expect(worker.connectionCount <= 2)
    await worker.stop()
  }

  @Test("if every connection is refused, all waiting calls fail")
  func refusedInLine() async throws {
    let client = try client("http://127.0.0.1:\(try await unusedPort())", connectionMax: 2)
    let outcomes = await withTaskGroup(of: OutcomeClass.self) { group in
      for _ in 0..<20 { group.addTask { await client.start(startRequest(UUID())).kind } }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(outcomes == Array(repeating: .unavailable, count: 20))
  }

  @Test("a connection cut before reading is never called refused or dispatched")
  func cutBeforeReading() async throws {
    let worker = try await ScriptedWorker([.cutBeforeReading])
    let outcome = try await client(worker.url).start(startRequest(UUID()))
    #expect([.ambiguous, .unavailable].contains(outcome.kind), "\(outcome)")
    #expect(worker.starts.isEmpty)
    await worker.stop()
  }

  @Test("a start that is cancelled after sending is ambiguous")
  func cancelled() async throws {
    let worker = try await ScriptedWorker([.hang])
    let client = try client(worker.url)
    let start = Task { await client.start(startRequest(UUID())) }
    try await eventually { worker.starts.count == 1 }
    start.cancel()
    #expect(await start.value.kind == .ambiguous)
    await worker.stop()
  }

  @Test("a payload over the limit is refused without a call")
  func tooLarge() async throws {
    let worker = try await ScriptedWorker()
    let body = [UInt8](repeating: 32, count: StartRequest.byteCountMax + 1)
    let outcome = try await client(worker.url).start(body, reviewID: UUID(), attempt: 1, trace: nil)
    #expect(outcome.kind == .refused)
    #expect(worker.connectionCount == 0)
    await worker.stop()
  }

  @Test("an answer of more than 1 MiB is not read to its end")
  func endlessAnswer() async throws {
    let worker = try await ScriptedWorker([.status(200, error: String(repeating: "x", count: 3 << 20))])
    let outcome = try await client(worker.url).start(startRequest(UUID()))
    #expect(outcome.kind == .ambiguous, "\(outcome)")
    #expect(outcome.message.count < 1_000)
    await worker.stop()
  }
}

extension Row {
  fileprivate var endsByDeadline: Bool {
    switch step {
    case .hangs, .stallsInBody: true
    default: false
    }
  }
}
