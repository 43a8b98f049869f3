import FoundationEssentials
import Logging
import Primitives
import Reviews
import Support
import Testing
import WorkerAPI
import WorkerClient

@Suite("Worker client")
struct WorkerClientTests {
  @Test("a start carries token, key, trace and payload, below the path of the base URL")
  func startRequestOnTheWire() async throws {
    let worker = try await ScriptedWorker(token: token.reveal())
    let request = startRequest(UUID(), attempt: 3, prompt: "Grüße \"quoted\"\n")
    let trace = TraceContext()
    for base in [worker.url, worker.url + "/", worker.url + "/agents/v2/"] {
      let outcome = try await client(base).start(request, trace: trace)
      #expect(outcome == .dispatched(StartResponse(reviewId: request.reviewId, status: .queued)))
    }
    #expect(worker.starts.map(\.request) == [request, request, request])
    let start = try #require(worker.starts.first)
    #expect(start.authorization == "Bearer \(token.reveal())")
    #expect(start.idempotencyKey == "\(request.reviewId.lowercase)/3")
    #expect(start.traceparent == trace.traceparent)
    #expect(worker.runCount(of: request.reviewId, attempt: 3) == 1)
    await worker.stop()
  }

  @Test("a host or a token that would end its header is refused before anything is sent")
  func unfitHeaders() {
    #expect(throws: WorkerClientError.self) { try client("http://127.0.0.1:9", token: Secret("a\r\nx-admin: yes")) }
    #expect(throws: WorkerClientError.self) { try client("http://127.0.0.1%0D%0Ax-admin:9") }
  }

  @Test("a payload of megabytes arrives whole")
  func largePayload() async throws {
    let worker = try await ScriptedWorker()
    let request = startRequest(UUID(), prompt: String(repeating: "diff --git \"a\"\n", count: 200_000))
    #expect(try await client(worker.url).start(request).kind == .dispatched)
    #expect(worker.starts.map(\.request) == [request])
    await worker.stop()
  }

  @Test("connections are used again")
  func reusesConnections() async throws {
    let worker = try await ScriptedWorker()
    let client = try client(worker.url)
    for _ in 0..<20 { #expect(await client.start(startRequest(UUID())).kind == .dispatched) }
    // One, unless a busy machine leaves it idle for longer than the pool keeps it.
    #expect(worker.connectionCount < 20)
    await worker.stop()
  }

  @Test("the status distinguishes known, unknown, unsupported and failed")
  func status() async throws {
    let worker = try await ScriptedWorker(token: token.reveal())
    let known = try client(worker.url)
    let id = UUID()
    #expect(await known.status(of: id) == .unknown)
    worker.know(id, attempt: 2, state: .running)
    #expect(await known.status(of: id) == .known(RunStatus(reviewId: id, attempt: 2, status: .running)))
    worker.lacksStatusRoute = true
    guard case .unsupported = await known.status(of: id) else {
      Issue.record("405 says that there is no such route")
      return
    }
    let stranger = try client(worker.url, token: Secret("another-4711"))
    guard case .failed(let message) = await stranger.status(of: id) else {
      Issue.record("a wrong token is no evidence about the route")
      return
    }
    #expect(message.contains("401: wrong token"))
    await worker.stop()
    guard case .failed = await known.status(of: id) else {
      Issue.record("a worker that is gone knows nothing")
      return
    }
  }

  @Test("a text of the worker that was cut within a character hides no answer")
  func cutTexts() async throws {
    let worker = try await ScriptedWorker()
    let client = try client(worker.url)
    let id = UUID()
    func answers(_ status: Int, _ body: String) { worker.front = ScriptedFront(status, body) }
    answers(
      200, #"{"reviewId":"\#(id.lowercase)","attempt":1,"status":"failed","errorMessage":"cut \ud83d","x":"\udc00"}"#)
    #expect(
      await client.status(of: id)
        == .known(RunStatus(reviewId: id, attempt: 1, status: .failed, errorMessage: "cut \u{FFFD}")))
    answers(
      200,
      #"{"reviewId":"\#(id.lowercase)","events":[{"timestamp":"2026-01-01T00:00:00Z","eventType":"x","message":"\ud83d"}]}"#
    )
    #expect(try await client.events(of: id).map(\.message) == ["\u{FFFD}"])
    answers(404, #"{"error":"unknown \ud83d"}"#)
    #expect(await client.status(of: id) == .unknown)
    #expect(await client.cancel(id, reason: nil, attempt: 1) == .unknown)
    answers(200, #"{"success":true,"reviewId":"\#(id.lowercase)","note":"\ud83d"}"#)
    #expect(await client.cancel(id, reason: nil, attempt: 1) == .done(success: true))
    answers(422, #"{"error":"refused \ud83d"}"#)
    let refused = await client.start(startRequest(id))
    #expect(refused.kind == .refused && refused.message.contains("refused \u{FFFD}"), "\(refused)")
    answers(202, #"{"reviewId":"\#(id.lowercase)","status":"queued","agentVersion":"v\ud83d"}"#)
    #expect(
      await client.start(startRequest(id))
        == .dispatched(StartResponse(reviewId: id, status: .queued, agentVersion: "v\u{FFFD}")))
    await worker.stop()
  }

  @Test("a cancel carries reason and attempt")
  func cancel() async throws {
    let worker = try await ScriptedWorker()
    let client = try client(worker.url)
    let id = UUID()
    #expect(await client.cancel(id, reason: "superseded", attempt: 2) == .done(success: false))
    worker.know(id, attempt: 2, state: .running)
    #expect(await client.cancel(id, reason: nil, attempt: 1) == .done(success: false))
    #expect(await client.cancel(id, reason: nil, attempt: 2) == .done(success: true))
    #expect(worker.cancels.map(\.reason) == ["superseded", nil, nil])
    #expect(worker.cancels.map(\.attempt) == [2, 1, 2])
    await worker.stop()
    guard case .failed = await client.cancel(id, reason: nil, attempt: 2) else {
      Issue.record("expected a failure: the worker is stopped")
      return
    }
  }

  @Test("the worker's words are bounded, in one line, and never hold the token")
  func boundsText() async throws {
    let text = "no\nsuch model: Bearer \(token.reveal()) " + String(repeating: "ä", count: 2_000)
    let worker = try await ScriptedWorker([.status(400, error: text)])
    let outcome = try await client(worker.url).start(startRequest(UUID()))
    #expect(outcome.message.contains("answered 400: no such model: Bearer *** ä"))
    #expect(outcome.message.count < 600 && !outcome.message.contains("\n") && !outcome.message.contains(token.reveal()))
    await worker.stop()
  }

  @Test(
    "an invalid base URL is refused",
    arguments: ["", "worker", "ftp://worker", "http://", "http://w/?a=b", "http://w#x"])
  func badURL(url: String) {
    #expect(throws: WorkerClientError.self) { try client(url) }
  }
}
