import AMQPClient
import ReviewQueue
import Support
import Testing

/// A broker that agrees to the smallest frames, three channels and small messages.
@Suite("A broker with narrow limits", .serialized, .smallBroker, .timeLimit(.minutes(5)))
struct SmallBrokerTests {
  private let broker: BrokerServer

  init() throws { broker = try #require(OwnBroker.current) }

  @Test("headers that fit into no frame are refused before they are written, and cost no connection")
  func headers() async throws {
    let name = uniqueName("queue")
    try await withPublisher(AMQPTopology(queues: [.quorum(name)]), broker.configuration("publisher")) { publisher in
      let small = AMQPMessage(body: [1])
      try await eventually("taken") { await publisher.publish(small, exchange: "", routingKey: name) == .confirmed }
      let large = AMQPMessage(body: [1], headers: ["a": .string(String(repeating: "x", count: 5_000))])
      let outcome = await publisher.publish(large, exchange: "", routingKey: name)
      guard case .notSent(let reason) = outcome else { return #expect(outcome == .notSent("")) }
      #expect(reason.contains("4096"))
      #expect(await publisher.publish(small, exchange: "", routingKey: name) == .confirmed)
      #expect(publisher.reconnects == 0)
    }
  }

  @Test("a limit on channels refuses one call too many, and costs no connection")
  func channels() async throws {
    try await withAMQPConnection(broker.configuration()) { connection in
      let refused = await withTaskGroup(of: AMQPError?.self) { group in
        for _ in 0..<20 {
          group.addTask {
            do throws(AMQPError) {
              try await connection.declare(AMQPTopology())
              return nil
            } catch {
              return error
            }
          }
        }
        return await group.reduce(into: []) { $0.append($1) }.compactMap(\.self)
      }
      #expect(refused.allSatisfy { $0.cause == .limit && !$0.isConnectionLost && !$0.isPermanent })
      #expect(!refused.isEmpty && refused.count < 20)
      try await connection.declare(AMQPTopology())
    }
  }

  @Test(
    "poison of any size and form becomes a dead letter, with what could not be kept of it noted",
    arguments: [
      AMQPDelivery(body: [1], headers: ["a": .string(String(repeating: "x", count: 70_000))]),
      AMQPDelivery(body: [1], headers: [String(repeating: "\u{FFFD}", count: 200): 1]),
      AMQPDelivery(
        body: [1], messageID: String(repeating: "\u{FFFD}", count: 255), type: String(repeating: "ü", count: 255)),
      AMQPDelivery(body: Array(repeating: 0, count: 300_000), headers: ["a": "b"]),
    ])
  func poison(_ delivery: AMQPDelivery) async throws {
    try await withPublisher(ReviewTopology.topology(queue: "q"), broker.configuration("publisher")) { publisher in
      let tickets = AMQPTicketQueue(publisher: publisher, queue: "q", logger: .brokerTests)
      let reason = "bad: " + String(repeating: "ä", count: 5_000)
      let kept = try await eventuallyDead(delivery, reason, tickets)
      let header = try #require(kept.headers[ReviewTopology.deadReasonHeader]?.stringValue)
      #expect(reason.hasPrefix(header) && header.utf8.count <= 1_000 && header.utf8.count > 990)
      #expect(kept.body == Array(delivery.body.prefix(kept.body.count)) && !kept.body.isEmpty)
      let bodyBytes = kept.headers[ReviewTopology.deadBodyBytesHeader]?.intValue
      #expect(bodyBytes == (kept.body.count < delivery.body.count ? Int64(delivery.body.count) : nil))
      if kept.headers["a"] == nil, !delivery.headers.isEmpty {
        #expect(
          kept.headers[ReviewTopology.deadHeaderBytesHeader]?.intValue == Int64(delivery.headers.encodedByteCount))
      }
    }
  }

  private func eventuallyDead(_ delivery: AMQPDelivery, _ reason: String, _ tickets: AMQPTicketQueue) async throws
    -> AMQPDelivery
  {
    try await eventually("a dead letter") {
      await tickets.publishDead(TicketDelivery(delivery), reason: reason) == .confirmed
    }
    let letters = try await tickets.publisher.peek(ReviewTopology.deadQueue, limit: 100)
    _ = try await tickets.publisher.purge(ReviewTopology.deadQueue)
    return try #require(letters.last)
  }
}

extension Trait where Self == OwnBrokerTrait {
  /// A broker of the suite's own, with narrow limits.
  static var smallBroker: Self {
    OwnBrokerTrait { _ in
      """
      frame_max = 4096
      channel_max = 3
      max_message_size = 100000

      """
    }
  }
}
