import FoundationEssentials
import InMemoryReviewQueue
import InMemoryReviewStore
import Platforms
import Primitives
import Resilience
import ReviewQueue
import ReviewStore
import Reviews
import ServiceLifecycle
import Support
import Telemetry
import Testing
import WorkerAPI
import WorkerClient

@testable import Dispatching

/// What the worker answers, and what it says when it is asked.
struct WorkerAnswer: Sendable, CustomTestStringConvertible {
  /// What becomes of the review if its row is as it was when it was leased.
  enum Consequence: Sendable, Equatable {
    /// Dispatched; the row has this status.
    case dispatched(ReviewStatus)
    /// Back to pending, uncounted.
    case postponed
    /// Queued without a lease.
    case leftQueued(failures: Int)
    case failed
  }

  var name: String
  var answer: @Sendable (UUID) -> DispatchOutcome
  var known: @Sendable (UUID) -> StatusAnswer = { _ in .unknown }
  var consequence: Consequence

  var testDescription: String { name }

  static let all: [WorkerAnswer] = [
    WorkerAnswer(name: "queued", answer: { start($0, .queued) }, consequence: .dispatched(.queued)),
    WorkerAnswer(name: "running", answer: { start($0, .running) }, consequence: .dispatched(.running)),
    WorkerAnswer(
      name: "completed", answer: { start($0, .completed) }, known: { run($0, .completed) },
      consequence: .dispatched(.completed)),
    WorkerAnswer(
      name: "failed there", answer: { start($0, .failed) }, known: { _ in .failed(message: "no answer") },
      consequence: .dispatched(.failed)),
    WorkerAnswer(
      name: "unreachable", answer: { _ in .unavailable(message: "no connection") }, consequence: .postponed),
    WorkerAnswer(
      name: "throttled", answer: { _ in .throttled(retryAfter: .seconds(5), message: "429") },
      consequence: .postponed),
    WorkerAnswer(name: "a proxy's page", answer: { _ in .outage(message: "HTML") }, consequence: .postponed),
    WorkerAnswer(name: "again", answer: { _ in .again(message: "421") }, consequence: .postponed),
    WorkerAnswer(name: "refused", answer: { _ in .refused(message: "422") }, consequence: .failed),
    WorkerAnswer(
      name: "ambiguous, and it has it", answer: { _ in .ambiguous(message: "timeout") },
      known: { run($0, .running) }, consequence: .dispatched(.running)),
    WorkerAnswer(
      name: "ambiguous, and it has another attempt", answer: { _ in .ambiguous(message: "timeout") },
      known: { run($0, .running, attempt: 9) }, consequence: .leftQueued(failures: 1)),
    WorkerAnswer(
      name: "no answer, and it does not have it", answer: { _ in .ambiguous(message: "timeout") },
      consequence: .leftQueued(failures: 0)),
    WorkerAnswer(
      name: "an unclear answer, and it does not have it",
      answer: { _ in .ambiguous(message: "500", isAnswer: true) }, consequence: .leftQueued(failures: 1)),
    WorkerAnswer(
      name: "an unclear answer, and it cannot be asked", answer: { _ in .ambiguous(message: "500", isAnswer: true) },
      known: { _ in .failed(message: "no answer") }, consequence: .leftQueued(failures: 0)),
  ]

  private static func start(_ id: UUID, _ state: RunState) -> DispatchOutcome {
    .dispatched(StartResponse(reviewId: id, status: state))
  }

  private static func run(_ id: UUID, _ state: RunState, attempt: Int = 1) -> StatusAnswer {
    .known(RunStatus(reviewId: id, attempt: attempt, status: state))
  }

  /// Whether the worker has the review.
  var isDispatched: Bool { if case .dispatched = consequence { true } else { false } }
}

/// What happens to the row while the worker is called.
enum RowEvent: String, Sendable, CaseIterable {
  case none, cancelled, retried, leasedByAnother, unreachableForAWhile, refusesOnce
}

@Suite("The consumer: each answer of the worker, with each change of the row", .timeLimit(.minutes(2)))
struct ConsumerAnswerTests {
  /// The statements that write the outcome of an attempt.
  private static let writes = ["record", "postpone", "retry_later", "leave_queued", "fail"]

  @Test(
    "an answer has one settlement and one effect on the row, draining or not", arguments: WorkerAnswer.all,
    RowEvent.allCases)
  func settlement(_ sample: WorkerAnswer, _ event: RowEvent) async throws {
    for isDraining in [false, true] {
      let stage = try await Stage()
      let id = try await stage.publish(1)[0]
      let isAnswering = Mutexed(false)
      stage.worker.onStatus { sample.known($0) }
      stage.worker.onStart { id, _ in
        while !isAnswering.value, !Task.isCancelled { try? await stage.environment.sleep(for: .milliseconds(100)) }
        return sample.answer(id)
      }
      try await stage.running(stage.consumer) { group in
        try await stage.advance(until: "the worker is called") { !stage.worker.starts.isEmpty }
        if isDraining { await group.triggerGracefulShutdown() }
        try await happen(event, to: id, stage)
        isAnswering.change { $0 = true }
        try await stage.advance(until: "the delivery is settled") {
          if event == .unreachableForAWhile { try await answerAgain(stage) }
          return !stage.subscription.settlements.isEmpty
        }
        try await check(sample, event, id, stage)
      }
      #expect(stage.worker.starts.count == 1 || event == .refusesOnce)
      #expect(stage.consumer.report.unleasedTickets == 0 && stage.consumer.report.inFlight == 0)
      #expect(try await stage.queue.deadCount() == 0)
    }
  }

  private func happen(_ event: RowEvent, to id: UUID, _ stage: Stage) async throws {
    switch event {
    case .none: break
    case .cancelled: _ = try await stage.ledger.cancel(id)
    case .retried:
      _ = try await stage.ledger.cancel(id)
      _ = try await stage.ledger.retry(id)
    case .leasedByAnother:
      // As if this holder were dead.
      try await stage.ledger.leave(stage.holder.id)
      try await stage.lease(id, by: stage.other)
    case .unreachableForAWhile: for name in Self.writes { stage.faults[name] = .fail(.unreachable) }
    case .refusesOnce: stage.faults.failNext(of: Self.writes, .refused)
    }
  }

  /// Ends an outage after five seconds; nothing may have been settled by then.
  private func answerAgain(_ stage: Stage) async throws {
    guard stage.faults["record"] != nil else { return }
    #expect(stage.subscription.settlements == [])
    if stage.consumer.faults.contains(where: { $0.seconds > 5 }) {
      for name in Self.writes { stage.faults[name] = nil }
    }
  }

  private func check(_ sample: WorkerAnswer, _ event: RowEvent, _ id: UUID, _ stage: Stage) async throws {
    let review = try await stage.review(id)
    let settlement = try #require(stage.subscription.settlements.first)
    // It is acknowledged if, and only if, the worker has the review (I4).
    #expect((settlement == .acknowledge) == sample.isDispatched)
    switch event {
    case .none, .unreachableForAWhile:
      #expect(settlement == (sample.isDispatched ? .acknowledge : .reject))
      switch sample.consequence {
      case .dispatched(let status):
        #expect(review.status == status && review.dispatchedAt != nil && review.dispatchFailures == 0)
      case .postponed:
        #expect(review.status == .pending && review.dispatchFailures == 0 && review.availableAt > review.updatedAt)
      case .leftQueued(let failures):
        #expect(review.status == .queued && review.leaseOwner == nil && review.dispatchedAt == nil)
        #expect(review.dispatchFailures == failures)
      case .failed: #expect(review.status == .failed && review.errorCode == ErrorCode.workerRejected.rawValue)
      }
    case .cancelled:
      #expect(settlement != .requeue)
      #expect(review.status == .cancelled)
      // The worker hears of it, whatever it has answered.
      #expect(try await stage.ledger.outboxCount() == 1)
    case .retried:
      #expect(settlement != .requeue)
      #expect(review.status == .pending && review.attempt == 2 && review.dispatchFailures == 0)
    case .leasedByAnother:
      #expect(settlement != .requeue)
      // A start that ended the run, and the worker's word for it, count as a callback.
      if case .dispatched(let status) = sample.consequence, status != .queued {
        #expect(review.status == status)
      } else {
        #expect(review.status == .queued && review.leaseOwner == stage.other.id.text)
      }
    case .refusesOnce:
      // What is not written is given back, unless the worker has the review: the reaper reconciles that.
      #expect(settlement == (sample.isDispatched ? .acknowledge : .requeue))
      if sample.isDispatched { #expect(review.status == .queued && review.dispatchedAt == nil) }
    }
  }
}
