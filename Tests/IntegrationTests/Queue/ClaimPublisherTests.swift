import AMQPClient
import Dispatching
import Foundation
import Logging
import PostgresClient
import Primitives
import ReviewQueue
import ReviewStore
import Reviews
import Support
import Telemetry
import Testing

/// With a broker of their own, which refuses, stands still, and comes back.
@Suite("Claims and a broker that does not confirm", .serialized, .ownBroker, .timeLimit(.minutes(5)))
struct ClaimPublisherTests {
  private let broker: BrokerServer

  init() throws { broker = try #require(OwnBroker.current) }

  /// A process that claims, in parts.
  private struct Claimer {
    let test: TestStore
    let publisher: AMQPPublisher
    let claims: ClaimPublisher
    let registry: PrometheusRegistry
    let log: CapturedLog
    let queue: String

    func count(_ condition: String) async throws -> Int {
      Int(try await test.sql("SELECT count(*) FROM code_reviews WHERE \(condition)")[0].decode(0, as: Int64.self))
    }

    func transitionCount() async throws -> Int {
      Int(try await test.sql("SELECT count(*) FROM review_transitions")[0].decode(0, as: Int64.self))
    }

    /// Tickets that ended so, as the metrics count them.
    func published(_ result: String) -> Int {
      let line = registry.exposition().split(separator: "\n").first {
        $0.hasPrefix("baton_published_total{result=\"\(result)\"}")
      }
      return line?.split(separator: " ").last.flatMap { Double($0) }.map { Int($0) } ?? 0
    }
  }

  private func withClaimer(_ body: (Claimer) async throws -> Void) async throws {
    let queue = uniqueName("claims")
    var configuration = try broker.configuration("publisher")
    configuration.confirmTimeout = .seconds(1)
    let log = CapturedLog()
    try await withTestStore { test in
      try await test.signOn(test.holder)
      try await withPublisher(ReviewTopology.topology(queue: queue), configuration) { publisher in
        let tickets = AMQPTicketQueue(publisher: publisher, queue: queue, logger: log.logger)
        let registry = PrometheusRegistry()
        let claims = ClaimPublisher(
          queue: tickets, ledger: test.store, metrics: BatonMetrics(factory: registry), logger: log.logger)
        // A quorum queue that was declared just now refuses until it has a leader.
        try await eventually("the queue takes messages") {
          await publisher.publish(AMQPMessage(body: []), exchange: ReviewTopology.exchange, routingKey: queue)
            == .confirmed
        }
        try await body(
          Claimer(test: test, publisher: publisher, claims: claims, registry: registry, log: log, queue: queue))
        await claims.close()
      }
    }
  }

  /// Makes the queue refuse publishes: it takes a single message, and has one.
  private func fillQueue(of claimer: Claimer) async throws {
    try await broker.control(
      "set_policy", "full", "^\(claimer.queue)$", #"{"max-length":1,"overflow":"reject-publish"}"#, "--apply-to",
      "queues")
    try await eventually("the queue is full") {
      await claimer.publisher.publish(AMQPMessage(body: []), exchange: "", routingKey: claimer.queue) == .nacked
    }
  }

  @Test(
    "while a full queue refuses, reviews stay queued without further transitions, and the log says it once; then all go out"
  )
  func refused() async throws {
    try await withClaimer { claimer in
      try await fillQueue(of: claimer)
      _ = try await claimer.test.insert(30, owner: "acme")
      #expect(await claimer.claims.publish(try await claimer.test.claim(ownerLimit: 100)) == 0)
      let transitions = try await claimer.transitionCount()
      #expect(claimer.claims.claimAllowance == 0)
      try await eventually("several tries") { claimer.published("nacked") >= 34 }
      // One at a time, not all thirty each time.
      #expect(claimer.published("nacked") < 60)
      #expect(try await claimer.count("status = 'queued' AND published_at IS NULL") == 30)
      #expect(try await claimer.transitionCount() == transitions)
      #expect(claimer.log.lines(from: .warning).count == 1)

      // A consumer takes what is there, and lets a few in at a time.
      let topology = ReviewTopology.topology(queue: claimer.queue)
      try await withConsumer(topology, queue: claimer.queue, broker.configuration("consumer")) { consumer in
        let taking = Task { for await delivery in consumer.deliveries { consumer.acknowledge(delivery) } }
        try await eventually("all published") { try await claimer.count("published_at IS NOT NULL") == 30 }
        taking.cancel()
      }
      #expect(try await claimer.transitionCount() == transitions)
      try await eventually("room for more") { claimer.claims.claimAllowance > 0 }
      #expect(claimer.log.lines(from: .notice).filter { $0.hasPrefix("the broker takes tickets again") }.count == 1)
      try await broker.control("clear_policy", "full")
    }
  }

  @Test("what was in flight when the connection was lost is published again by its claimer, as the same claim")
  func unknown() async throws {
    try await withClaimer { claimer in
      _ = try await claimer.test.insert(20)
      let claims = try await claimer.test.claim()
      // However often they were published again before, for other reasons.
      try await claimer.test.sql("UPDATE code_reviews SET republish_count = 5")
      try await broker.suspendChannels()
      #expect(await claimer.claims.publish(claims) == 0)
      try await eventually("all published") { try await claimer.count("published_at IS NOT NULL") == 20 }
      #expect(claimer.publisher.reconnects >= 1)
      for claim in claims { #expect(try await claimer.test.row(claim.reviewID).claimedAt == claim.claimedAt) }
      #expect(try await claimer.count("republish_count = 5") == 20)
      #expect(claimer.log.lines(from: .warning).filter { $0.contains("were not confirmed") }.count == 1)
    }
  }

  @Test("a ticket whose review was cancelled in the meantime is not published again")
  func cancelled() async throws {
    try await withClaimer { claimer in
      let ids = try await claimer.test.insert(3)
      let claims = try await claimer.test.claim()
      try await broker.suspendChannels()
      async let publishing = claimer.claims.publish(claims)
      try await claimer.test.sql("UPDATE code_reviews SET status = 'cancelled' WHERE id = '\(ids[1])'")
      #expect(await publishing == 0)
      try await eventually("the others published") { try await claimer.count("published_at IS NOT NULL") == 2 }
      try await eventually("nothing owed") { claimer.claims.claimAllowance > 0 }
      #expect(claimer.published("confirmed") == 2)
    }
  }

  private struct AnswerLost: Error {}

  @Test("claims whose answer was lost are found by their claimer and published, whatever statement made them")
  func lostAnswer() async throws {
    try await withClaimer { claimer in
      let (store, holder) = (claimer.test.store, claimer.test.holder.id)
      _ = try await claimer.test.insert(5)
      await #expect(throws: AnswerLost.self) {
        try await claimer.claims.claiming(as: holder) {
          _ = try await store.claim(limit: 5, ownerLimit: 20, by: holder)
          throw AnswerLost()
        }
      }
      try await eventually("all published") { try await claimer.count("published_at IS NOT NULL") == 5 }
      // The statement may still be running when the connection is back.
      _ = try await claimer.test.insert(1, owner: "late")
      await #expect(throws: AnswerLost.self) { try await claimer.claims.claiming(as: holder) { throw AnswerLost() } }
      try await Task.sleep(for: .milliseconds(200))
      _ = try await store.claim(limit: 5, ownerLimit: 20, by: holder)
      try await eventually("the late one published") { try await claimer.count("published_at IS NOT NULL") == 6 }
      #expect(try await claimer.count("republish_count > 0") == 0)
    }
  }

  @Test("a confirm that could not be recorded is recorded when Postgres takes it, without another ticket")
  func recordedLater() async throws {
    try await withClaimer { claimer in
      _ = try await claimer.test.insert(3)
      let claims = try await claimer.test.claim()
      try await claimer.test.sql("ALTER TABLE code_reviews RENAME COLUMN published_at TO published_at_for_now")
      #expect(await claimer.claims.publish(claims) == 3)
      try await eventually("the failure is said") {
        claimer.log.lines(from: .warning).contains { $0.hasPrefix("publications not recorded") }
      }
      try await claimer.test.sql("ALTER TABLE code_reviews RENAME COLUMN published_at_for_now TO published_at")
      try await eventually("all recorded") { try await claimer.count("published_at IS NOT NULL") == 3 }
      #expect(claimer.published("confirmed") == 3)
    }
  }

  @Test("at its end a process gives back what the broker has not taken, and others can claim it at once")
  func givenBack() async throws {
    try await withClaimer { claimer in
      try await fillQueue(of: claimer)
      _ = try await claimer.test.insert(5)
      _ = await claimer.claims.publish(try await claimer.test.claim())
      await claimer.claims.close()
      #expect(try await claimer.count("status = 'pending' AND available_at <= now()") == 5)
      try await broker.control("clear_policy", "full")
    }
  }
}
