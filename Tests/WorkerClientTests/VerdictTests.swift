import FoundationEssentials
import Support
import Testing
import WorkerClient

/// Who has written the body of an answer.
enum Body: String, CaseIterable, Sendable {
  /// The worker: the contract's error.
  case worker = #"{"error":"no such model"}"#
  /// Something else that speaks JSON.
  case gateway = #"{"message":"no Route matched with those values"}"#
  case page = "<html><head><title>404 Not Found</title></head><body>default backend - 404</body></html>"
  case nothing = ""
}

private struct Expectation {
  var status: Int
  /// With the contract's error.
  var ofWorker: OutcomeClass
  /// With any other body.
  var ofOthers: OutcomeClass

  init(_ status: Int, _ ofWorker: OutcomeClass, otherwise ofOthers: OutcomeClass? = nil) {
    (self.status, self.ofWorker, self.ofOthers) = (status, ofWorker, ofOthers ?? ofWorker)
  }
}

/// Every class of status. A refusal is the worker's own verdict; it fails a review, so nothing else counts as one.
private let starts = [
  Expectation(200, .ambiguous), Expectation(202, .ambiguous), Expectation(299, .ambiguous),
  Expectation(301, .outage), Expectation(302, .outage), Expectation(307, .outage),
  Expectation(400, .refused, otherwise: .outage),
  Expectation(401, .outage), Expectation(402, .outage), Expectation(403, .outage), Expectation(404, .outage),
  Expectation(405, .outage), Expectation(406, .outage), Expectation(407, .outage),
  Expectation(408, .again),
  Expectation(409, .refused, otherwise: .outage),
  Expectation(410, .outage), Expectation(411, .outage),
  Expectation(413, .refused, otherwise: .outage),
  Expectation(414, .outage), Expectation(415, .outage), Expectation(418, .outage),
  Expectation(421, .again),
  Expectation(422, .refused, otherwise: .outage),
  Expectation(423, .outage), Expectation(425, .again), Expectation(426, .outage), Expectation(428, .outage),
  Expectation(429, .throttled(nil)), Expectation(431, .outage), Expectation(451, .outage), Expectation(499, .outage),
  Expectation(500, .ambiguous), Expectation(501, .ambiguous), Expectation(502, .ambiguous),
  Expectation(503, .ambiguous), Expectation(504, .ambiguous), Expectation(520, .ambiguous),
  Expectation(599, .ambiguous),
]

@Suite("The worker's verdict, and answers that are not one")
struct VerdictTests {
  @Test("only the worker's own words with 400, 409, 413 or 422 refuse a start", arguments: Body.allCases)
  func start(body: Body) async throws {
    let worker = try await ScriptedWorker()
    let client = try client(worker.url)
    for expectation in starts {
      worker.front = ScriptedFront(expectation.status, body.rawValue)
      let outcome = await client.start(startRequest(UUID()))
      #expect(
        outcome.kind == (body == .worker ? expectation.ofWorker : expectation.ofOthers),
        "\(expectation.status) with \(body): \(outcome)")
      if outcome.kind == .outage { #expect(outcome.message.contains("answered \(expectation.status)")) }
    }
    await worker.stop()
  }

  @Test("only the worker's own 404 says that it does not know a review", arguments: Body.allCases)
  func status(body: Body) async throws {
    let worker = try await ScriptedWorker()
    let client = try client(worker.url)
    for status in starts.map(\.status) {
      worker.front = ScriptedFront(status, body.rawValue)
      let answer = await client.status(of: UUID())
      let isUnknown = status == 404 && body == .worker
      #expect((answer == .unknown) == isUnknown, "\(status) with \(body): \(answer)")
      // Of a worker that has once answered 200, anything else is something in front of it.
      if !isUnknown {
        guard case .failed = answer.judged(hasAnswered: true) else {
          Issue.record("\(status) with \(body) is \(answer)")
          continue
        }
      }
      // A worker that lacks the route still works.
      if [404, 405].contains(status), !isUnknown {
        guard case .unsupported = answer.judged(hasAnswered: false) else {
          Issue.record("\(status) with \(body) is \(answer)")
          continue
        }
      }
    }
    await worker.stop()
  }

  @Test("only the worker's own 404 ends a cancel that is not accepted", arguments: Body.allCases)
  func cancel(body: Body) async throws {
    let worker = try await ScriptedWorker()
    let client = try client(worker.url)
    for status in starts.map(\.status) {
      worker.front = ScriptedFront(status, body.rawValue)
      let answer = await client.cancel(UUID(), reason: nil, attempt: 1)
      #expect((answer == .unknown) == (status == 404 && body == .worker), "\(status) with \(body): \(answer)")
      if case .done = answer { Issue.record("\(status) with \(body) is \(answer)") }
    }
    await worker.stop()
  }
}
