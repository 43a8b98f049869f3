import FoundationEssentials
import InMemoryReviewQueue
import InMemoryReviewStore
import Platforms
import Primitives
import Resilience
import ReviewQueue
import ReviewStore
import Reviews
import Support
import Synchronization
import WorkerAPI
import WorkerClient

@testable import Dispatching

/// A worker that answers as a test says.
final class FakeWorker: Worker {
  private struct State {
    var onStart: @Sendable (UUID, Int) async -> DispatchOutcome = { id, _ in
      .dispatched(StartResponse(reviewId: id, status: .queued))
    }
    var onStatus: @Sendable (UUID) async -> StatusAnswer = { _ in .unknown }
    var starts: [UUID] = []
    var questions = 0
    var cancels: [UUID] = []
  }

  private let state = Mutex(State())

  /// Reviews whose start was asked for, in order.
  var starts: [UUID] { state.withLock { $0.starts } }
  var questions: Int { state.withLock { $0.questions } }
  var cancels: [UUID] { state.withLock { $0.cancels } }

  func onStart(_ answer: @escaping @Sendable (UUID, Int) async -> DispatchOutcome) {
    state.withLock { $0.onStart = answer }
  }

  func onStatus(_ answer: @escaping @Sendable (UUID) async -> StatusAnswer) {
    state.withLock { $0.onStatus = answer }
  }

  func start(_ body: [UInt8], reviewID: UUID, attempt: Int, trace: TraceContext?) async -> DispatchOutcome {
    let answer = state.withLock { state in
      state.starts.append(reviewID)
      return state.onStart
    }
    return await answer(reviewID, attempt)
  }

  func status(of reviewID: UUID) async -> StatusAnswer {
    let answer = state.withLock { state in
      state.questions += 1
      return state.onStatus
    }
    return await answer(reviewID)
  }

  func cancel(_ reviewID: UUID, attempt: Int) async -> CancelAnswer {
    state.withLock { $0.cancels.append(reviewID) }
    return .done(success: true)
  }
}

/// Prepares payloads as a test says.
final class FakePreparer: PayloadPreparer {
  typealias Answer = @Sendable (LeasedReview) async -> Result<PreparedPayload, PreparationError>

  private let answer = Mutex<Answer>({ _ in .success(.sample) })

  func onPrepare(_ answer: @escaping Answer) { self.answer.withLock { $0 = answer } }

  func prepare(_ review: LeasedReview) async throws(PreparationError) -> PreparedPayload {
    let answer = answer.withLock { $0 }
    return try await answer(review).get()
  }

  func targets(of review: LeasedReview) -> [String] { [] }
}

/// Decides how the ledger's statements fail, and when they are answered.
final class LedgerFaults: Sendable {
  private struct State {
    var faults: [String: InMemoryLedger.Interception] = [:]
    var next: (statements: [String], kind: LedgerFaultKind)?
    var keepsNextAnswerOf: String?
    var keptAnswer: CheckedContinuation<Void, Never>?
    var counts: [String: Int] = [:]
  }

  private let state = Mutex(State())

  /// How often a statement was asked for.
  func count(of statement: String) -> Int { state.withLock { $0.counts[statement, default: 0] } }

  /// The fault of a statement, until it is changed; `*` stands for all others.
  subscript(statement: String) -> InMemoryLedger.Interception? {
    get { state.withLock { $0.faults[statement] } }
    set { state.withLock { $0.faults[statement] = newValue } }
  }

  /// Has the first of these statements fail, once.
  func failNext(of statements: [String], _ kind: LedgerFaultKind) { state.withLock { $0.next = (statements, kind) } }

  func on(_ statement: String) -> InMemoryLedger.Interception {
    state.withLock { state in
      state.counts[statement, default: 0] += 1
      if let next = state.next, next.statements.contains(statement) {
        state.next = nil
        return .fail(next.kind)
      }
      return state.faults[statement] ?? state.faults["*"] ?? .run
    }
  }

  /// Keeps the answer of the next such statement, which is carried out, until ``releaseAnswer()``.
  func keepNextAnswer(of statement: String) { state.withLock { $0.keepsNextAnswerOf = statement } }

  /// Whether an answer is kept now.
  var keepsAnswer: Bool { state.withLock { $0.keptAnswer != nil } }

  func releaseAnswer() { state.withLock { $0.keptAnswer.take() }?.resume() }

  /// Waits as long as the statement's answer is kept.
  func beforeAnswer(of statement: String) async {
    let isKept = state.withLock { state in
      guard state.keepsNextAnswerOf == statement else { return false }
      state.keepsNextAnswerOf = nil
      return true
    }
    guard isKept else { return }
    await withCheckedContinuation { continuation in state.withLock { $0.keptAnswer = continuation } }
  }
}

/// No reconnect cures it.
struct QueueIsOther: Error {}

/// A subscription in memory that remembers how deliveries were settled.
struct RecordingSubscription: TicketSubscription {
  let inner: InMemoryTicketSubscription
  private let settled = Settled()
  private let failure: Wakeup
  private let endAnswer: Wakeup

  private final class Settled: Sendable {
    let all = Mutex<[TicketSettlement]>([])
    let keepsEnd = Mutex(false)
  }

  init(_ inner: InMemoryTicketSubscription, clock: TestClock) {
    self.inner = inner
    failure = Wakeup(clock: clock)
    endAnswer = Wakeup(clock: clock)
  }

  /// Has the broker not answer that consuming ends, until ``releaseEnd()``.
  func keepEnd() { settled.keepsEnd.withLock { $0 = true } }

  func releaseEnd() { endAnswer.wake() }

  /// Has the subscription end, as when its queue is there with other arguments.
  func fail() { failure.wake() }

  /// Those that had an effect, in order.
  var settlements: [TicketSettlement] { settled.all.withLock { $0 } }

  @discardableResult
  func settle(_ delivery: TicketDelivery, _ settlement: TicketSettlement) -> Bool {
    guard inner.settle(delivery, settlement) else { return false }
    settled.all.withLock { $0.append(settlement) }
    return true
  }

  var prefetch: Int { inner.prefetch }
  var isConnected: Bool { inner.isConnected }
  var channel: TicketChannel { inner.channel }
  func run() async throws {
    async let running: Void = inner.run()
    if (try? await failure.wait(until: nil)) != nil { throw QueueIsOther() }
    try await running
  }
  func next() async -> TicketDelivery? { await inner.next() }
  func pause() async { await inner.pause() }
  func end() async {
    if settled.keepsEnd.withLock({ $0 }) { _ = try? await endAnswer.wait(until: nil) }
    await inner.end()
  }
  func resume(limit: Int?) { inner.resume(limit: limit) }
  func rebuildChannel() { inner.rebuildChannel() }
  func rebuildConnection() { inner.rebuildConnection() }
  func readyCount() async throws -> Int { try await inner.readyCount() }
  func catchUp() async throws -> TicketPosition? { try await inner.catchUp() }
}

extension DispatchOutcome {
  /// The worker has said yes to a start.
  static func accepted(_ id: UUID, _ attempt: Int) -> DispatchOutcome {
    .dispatched(StartResponse(reviewId: id, status: .queued))
  }
}
