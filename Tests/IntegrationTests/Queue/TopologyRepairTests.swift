import AMQPClient
import Foundation
import Logging
import Primitives
import ReviewQueue
import Reviews
import Support
import Testing

/// Each of these tests takes something away from the broker.
@Suite("Topology that goes missing", .serialized, .ownBroker, .timeLimit(.minutes(5)))
struct TopologyRepairTests {
  private let broker: BrokerServer

  init() throws { broker = try #require(OwnBroker.current) }

  /// What an operator, or another program, can do to the topology.
  enum Damage: String, CaseIterable, Sendable {
    case queueUnbound, queueDeleted, exchangeDeleted, deadQueueUnbound, deadQueueDeleted, deadExchangeDeleted

    var queue: String? {
      switch self {
      case .queueDeleted: "q"
      case .deadQueueDeleted: "baton.dead"
      default: nil
      }
    }

    /// For rabbitmqctl.
    var expression: String? {
      switch self {
      case .queueUnbound: Self.unbind("q")
      case .deadQueueUnbound: Self.unbind("baton.dead")
      case .exchangeDeleted: Self.delete("baton")
      case .deadExchangeDeleted: Self.delete("baton.dead")
      case .queueDeleted, .deadQueueDeleted: nil
      }
    }

    private static func unbind(_ queue: String) -> String {
      """
      [rabbit_binding:remove(B, <<"test">>) || B <- rabbit_binding:list_for_destination({resource, <<"/">>, queue, <<"\(queue)">>}),
      element(4, element(2, B)) =/= <<>>].
      """
    }

    static func delete(_ exchange: String) -> String {
      "rabbit_exchange:delete({resource, <<\"/\">>, exchange, <<\"\(exchange)\">>}, false, <<\"test\">>)."
    }
  }

  private func withTickets(_ body: (AMQPTicketQueue) async throws -> Void) async throws {
    try await withPublisher(ReviewTopology.topology(queue: "q"), broker.configuration("publisher")) { publisher in
      let tickets = AMQPTicketQueue(publisher: publisher, queue: "q", logger: .brokerTests)
      // A quorum queue that was declared just now refuses until it has a leader.
      try await eventually("a ticket and a dead letter are taken") {
        let isTaken = await publish(tickets)
        return await tickets.publishDead(TicketDelivery(body: [1]), reason: "a test") == .confirmed && isTaken
      }
      try await body(tickets)
    }
  }

  private func publish(_ tickets: AMQPTicketQueue) async -> Bool {
    let id = UUID()
    let ticket = Ticket(reviewID: id, attempt: 1, claimedAt: Timestamp(microseconds: 0))
    return await tickets.publish([(ticket, TraceContext(of: id))]) == [.confirmed]
  }

  @Test("whatever part was taken away, tickets and dead letters find their queues again", arguments: Damage.allCases)
  func damage(_ damage: Damage) async throws {
    try await withTickets { tickets in
      if let queue = damage.queue {
        _ = try await withAMQPConnection(broker.configuration()) { try await $0.deleteQueue(queue) }
      }
      if let expression = damage.expression { try await broker.control("eval", expression) }
      let before = try? await tickets.deadCount()
      try await eventually("a ticket is taken") { await publish(tickets) }
      try await eventually("a dead letter is taken") {
        await tickets.publishDead(TicketDelivery(body: [1]), reason: "a test") == .confirmed
      }
      #expect(try await tickets.status().messagesReady > 0)
      try await eventually("the dead letter is there") { try await tickets.deadCount() > before ?? 0 }
    }
  }

  @Test("a route that is gone is repaired by the publish that finds it so")
  func atOnce() async throws {
    try await withTickets { tickets in
      try await broker.control("eval", try #require(Damage.queueUnbound.expression))
      #expect(await publish(tickets))
      try await broker.control("eval", try #require(Damage.deadQueueUnbound.expression))
      // The first repair was a moment ago.
      try await eventually("a dead letter is taken") {
        await tickets.publishDead(TicketDelivery(body: [1]), reason: "a test") == .confirmed
      }
      #expect(tickets.publisher.reconnects == 0)
    }
  }

  @Test("an exchange of another type is reported, and tickets go on when it is put right")
  func otherType() async throws {
    let log = CapturedLog()
    try await withTickets { first in
      let tickets = AMQPTicketQueue(publisher: first.publisher, queue: "q", logger: log.logger)
      try await broker.control("eval", Damage.delete("baton"))
      try await withAMQPConnection(broker.configuration()) { connection in
        try await connection.declare(AMQPTopology(exchanges: [AMQPExchange("baton", kind: .fanout)]))
      }
      #expect(await !publish(tickets))
      try await eventually("the difference is reported") {
        _ = await publish(tickets)
        return log.lines(from: .error).contains { $0.contains("inequivalent arg 'type'") }
      }
      #expect(log.lines(from: .warning).count <= 2)
      try await broker.control("eval", Damage.delete("baton"))
      try await eventually("tickets are taken again") { await publish(tickets) }
    }
  }
}
