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

@Suite("The consumer, while the worker is unavailable", .timeLimit(.minutes(2)))
struct ConsumerWorkerOutageTests {
  @Test("while the worker is unavailable nothing is taken and no attempt is lost; then deliveries are taken again")
  func circuit() async throws {
    let stage = try await Stage(prefetch: 8)
    stage.worker.onStart { _, _ in .throttled(retryAfter: .seconds(20), message: "503") }
    let ids = try await stage.publish(12)
    try await stage.consuming {
      try await stage.advance(until: "nothing is taken") {
        try await stage.queue.status().consumers == 0 && stage.consumer.report.inFlight == 0
      }
      #expect(stage.consumer.workerFault != nil)
      stage.worker.onStart { id, attempt in .accepted(id, attempt) }
      try await stage.advance(until: "deliveries are taken again") { try await stage.queue.status().consumers == 1 }
    }
    for id in ids { #expect(try await stage.review(id).dispatchFailures == 0) }
  }

  @Test(
    "while the worker is unavailable, a probe takes a single review, however many wait; then as many as there is room for"
  )
  func probe() async throws {
    let stage = try await Stage(prefetch: 8)
    stage.worker.onStart { _, _ in .throttled(retryAfter: .seconds(5), message: "503") }
    _ = try await stage.publish(40)
    try await stage.consuming {
      try await stage.advance(until: "nothing is taken") {
        try await stage.queue.status().consumers == 0 && stage.consumer.report.inFlight == 0
      }
      let (starts, ready) = (stage.worker.starts.count, try await stage.queue.status().messagesReady)
      try await stage.advance(until: "it was probed twice, and is unavailable again") {
        try await stage.queue.status().consumers == 0 && stage.worker.starts.count == starts + 2
      }
      #expect(try await stage.queue.status().messagesReady == ready - 2)
      let (clock, isOver) = (stage.clock, Mutexed(false))
      stage.worker.onStart { id, attempt in
        while stage.worker.starts.count > starts + 3, !isOver.value { try? await clock.sleep(for: .seconds(1)) }
        return .accepted(id, attempt)
      }
      try await stage.advance(until: "as many are taken as there is room for") {
        stage.consumer.report.inFlight == 8
      }
      #expect(stage.consumer.workerFault == nil)
      isOver.change { $0 = true }
      try await stage.advance(until: "all are taken") { try await stage.queue.status().messagesReady == 0 }
    }
  }

  @Test(
    "while it probes the worker with one review whose preparation does not end, it finds out by itself that the worker is back"
  )
  func probeInPreparation() async throws {
    let stage = try await Stage(prefetch: 8)
    stage.worker.onStart { _, _ in .throttled(retryAfter: .seconds(5), message: "503") }
    stage.worker.onStatus { _ in .failed(message: "503") }
    _ = try await stage.publish(40)
    let (clock, isStuck) = (stage.clock, Mutexed(false))
    stage.preparer.onPrepare { _ in
      while isStuck.value { try? await clock.sleep(for: .seconds(1)) }
      return .success(.sample)
    }
    try await stage.consuming {
      try await stage.advance(until: "nothing is taken") {
        try await stage.queue.status().consumers == 0 && stage.consumer.report.inFlight == 0
      }
      isStuck.change { $0 = true }
      stage.worker.onStart { id, attempt in .accepted(id, attempt) }
      stage.worker.onStatus { _ in .unknown }
      try await stage.advance(until: "as many are taken as there is room for") {
        stage.consumer.report.inFlight == 8
      }
      isStuck.change { $0 = false }
      try await stage.advance(until: "all are taken") { try await stage.queue.status().messagesReady == 0 }
    }
  }

  @Test("when the worker answers again, one review probes it at once, and after it the others come without a wait")
  func resumption() async throws {
    let stage = try await Stage(prefetch: 8)
    stage.worker.onStart { _, _ in .unavailable(message: "no connection") }
    stage.worker.onStatus { _ in .failed(message: "no connection") }
    _ = try await stage.publish(40)
    try await stage.consuming {
      try await stage.advance(until: "nothing is taken") {
        try await stage.queue.status().consumers == 0 && stage.consumer.report.inFlight == 0
      }
      let (ready, questions) = (try await stage.queue.status().messagesReady, stage.worker.questions)
      try await stage.advance(by: .milliseconds(20), until: "it was asked in vain") {
        stage.worker.questions > questions + 1
      }
      let (clock, isStuck, starts) = (stage.clock, Mutexed(true), stage.worker.starts.count)
      stage.worker.onStart { id, attempt in
        while stage.worker.starts.count > starts + 1, isStuck.value { try? await clock.sleep(for: .seconds(1)) }
        return .accepted(id, attempt)
      }
      stage.worker.onStatus { _ in
        try? await clock.sleep(for: .milliseconds(50))
        return .unknown
      }
      let answersSince = stage.clock.now
      try await stage.advance(by: .milliseconds(20), until: "one is taken") {
        try await stage.queue.status().messagesReady < ready
      }
      #expect(stage.clock.now - answersSince < .milliseconds(1_200))
      // In small steps: preparing has threads of its own.
      try await stage.advance(by: .milliseconds(1), until: "it has succeeded") { stage.consumer.workerFault == nil }
      let succeededAt = stage.clock.now
      try await stage.advance(by: .milliseconds(20), until: "as many are taken as there is room for") {
        stage.consumer.report.inFlight == 8
      }
      #expect(stage.clock.now - succeededAt < .milliseconds(200))
      isStuck.change { $0 = false }
    }
  }

  /// A consumer whose circuit has opened so often that it stays open for 15 s at least: that long after the latest start.
  private func consumingLongOutage(
    status: StatusAnswer, _ body: (Stage, _ starts: Int) async throws -> Void
  ) async throws {
    let stage = try await Stage(prefetch: 1)
    stage.worker.onStart { _, _ in .unavailable(message: "no connection") }
    stage.worker.onStatus { _ in status }
    _ = try await stage.publish(20)
    try await stage.consuming {
      try await stage.advance(until: "its circuit has opened often") { stage.worker.starts.count == 12 }
      try await body(stage, 12)
    }
  }

  @Test("a worker that answers questions again is probed at once, however long its circuit would stay open")
  func earlyProbe() async throws {
    try await consumingLongOutage(status: .failed(message: "no connection")) { stage, starts in
      let questions = stage.worker.questions
      try await stage.advance(until: "it was asked in vain") { stage.worker.questions > questions + 1 }
      stage.worker.onStart { id, attempt in .accepted(id, attempt) }
      stage.worker.onStatus { _ in .unknown }
      // In small steps: preparing has threads of its own, and the shortest open time is 15 s.
      try await stage.advance(by: .milliseconds(5), upTo: .seconds(13), until: "the others are taken") {
        try await stage.queue.status().messagesReady == 0
      }
      #expect(stage.worker.starts.count > starts)
      #expect(stage.consumer.workerFault == nil)
    }
  }

  @Test("a worker that answers questions all along, but no start, is left alone for as long as its circuit is open")
  func noEarlyProbe() async throws {
    try await consumingLongOutage(status: .unknown) { stage, starts in
      let (start, questions) = (stage.clock.now, stage.worker.questions)
      try await stage.advance(until: "it is probed") { stage.worker.starts.count > starts }
      #expect(stage.clock.now - start >= .seconds(15))
      #expect(stage.worker.questions > questions + 5)
    }
  }

  @Test("a worker that asks to be left alone is neither sent a review nor asked until then, whatever it answers")
  func leftAlone() async throws {
    let stage = try await Stage(prefetch: 1)
    stage.worker.onStart { _, _ in .throttled(retryAfter: .seconds(300), message: "503") }
    stage.worker.onStatus { _ in .failed(message: "503") }
    _ = try await stage.publish(3)
    try await stage.consuming {
      try await stage.advance(until: "it has asked for that") { stage.worker.starts.count == 1 }
      let start = stage.clock.now
      try await stage.advance(by: .seconds(1), until: "it is probed") { stage.worker.starts.count == 2 }
      #expect(stage.clock.now - start >= .seconds(299))
      #expect(stage.worker.questions == 0)
    }
  }

  @Test("a consumer that gets no review finds out by itself that the worker is back")
  func idleProbe() async throws {
    let stage = try await Stage()
    stage.worker.onStart { _, _ in .throttled(retryAfter: .seconds(20), message: "503") }
    stage.worker.onStatus { _ in .failed(message: "503") }
    let id = try await stage.publish(1)[0]
    try await stage.consuming {
      try await stage.advance(until: "the worker is unavailable") { stage.consumer.workerFault != nil }
      _ = try await stage.ledger.cancel(id)
      try await stage.advance(until: "it was asked") { stage.worker.questions > 0 }
      #expect(stage.consumer.workerFault != nil, "it has not answered")
      stage.worker.onStatus { _ in .unknown }
      try await stage.advance(until: "it is back") { stage.consumer.workerFault == nil }
    }
    #expect(stage.worker.starts == [id])
  }

  @Test(
    "an answer that cannot be weighed, as the ledger does not answer, proves nothing: no failure of the review, no recovery of the worker"
  )
  func unweighed() async throws {
    let stage = try await Stage(prefetch: 1)
    try await stage.ledger.rememberWorkerAnswers("http://worker")
    stage.worker.onStart { _, _ in .ambiguous(message: "an unclear page", isAnswer: true) }
    stage.worker.onStatus { _ in .unsupported(message: "a page of something in front of it") }
    stage.faults["worker_has_answered"] = .fail(.unreachable)
    let id = try await stage.publish(1)[0]
    try await stage.consuming {
      try await stage.advance(until: "the review is left queued") { !stage.subscription.settlements.isEmpty }
    }
    let review = try await stage.review(id)
    #expect(review.status == .queued && review.dispatchFailures == 0)
    #expect(stage.worker.questions > 0)
  }

  @Test("a page in the worker's place closes no circuit while the ledger does not answer")
  func unweighedProbe() async throws {
    let stage = try await Stage(prefetch: 1)
    try await stage.ledger.rememberWorkerAnswers("http://worker")
    stage.worker.onStart { _, _ in .throttled(retryAfter: .seconds(20), message: "503") }
    stage.worker.onStatus { _ in .unsupported(message: "a page of something in front of it") }
    let id = try await stage.publish(1)[0]
    try await stage.consuming {
      try await stage.advance(until: "the worker is out") { stage.consumer.workerFault != nil }
      _ = try await stage.ledger.cancel(id)
      stage.faults["worker_has_answered"] = .fail(.unreachable)
      let questions = stage.worker.questions
      try await stage.advance(until: "it was asked") { stage.worker.questions > questions }
      try await stage.advance(by: .seconds(5))
      #expect(stage.consumer.workerFault != nil)
    }
  }
}
