import AMQPClient
import Foundation
import Primitives
import ReviewQueue
import Reviews
import Support
import Testing

@Suite("baton dead, from outside", .timeLimit(.minutes(5)))
struct DeadLetterCommandTests {
  @Test("an ambiguous start of an id deletes no dead letter, and one of several letters of one review deletes these")
  func ambiguousDeadLetter() async throws {
    try await withTestCluster { cluster in
      let url = try #require(cluster.settings["BATON_AMQP_URL"])
      let publisher = AMQPPublisher(
        configuration: try AMQPConfiguration(urls: url, connectionName: "test"), topology: AMQPTopology(),
        logger: .postgresTests)
      let publishing = Task { try await publisher.run() }
      defer { publishing.cancel() }
      // The dead-letter queue is shared: only this test's letters begin so.
      let review = UUID()
      let marker = "x\(UUID().lowercase)"
      let ticket = Ticket(reviewID: review, attempt: 1, claimedAt: Timestamp(microseconds: 0)).body
      for (id, body) in [
        ("\(marker)-a", Array("no ticket".utf8)), ("\(marker)-b", Array("no ticket".utf8)), ("\(marker)-c1", ticket),
        ("\(marker)-c2", ticket),
      ] {
        try await eventually("confirmed") {
          await publisher.publish(
            AMQPMessage(body: body, messageID: id), exchange: "", routingKey: ReviewTopology.deadQueue) == .confirmed
        }
      }
      func left() async throws -> Set<String> {
        let letters = try await publisher.peek(ReviewTopology.deadQueue, limit: 1_000).map { DeadLetter($0) }
        return Set(
          letters.compactMap(\.messageId).filter { $0.hasPrefix(marker) }.map { String($0.dropFirst(marker.count)) })
      }
      let refused = try await cluster.run("dead", "delete", marker)
      #expect(refused.status == 1 && refused.output.contains("\(marker)-a"), "\(refused)")
      #expect(refused.output.contains("\(marker)-b") && refused.output.contains(review.lowercase), "\(refused)")
      #expect(try await left() == ["-a", "-b", "-c1", "-c2"])
      #expect(try await cluster.run("dead", "delete", String(review.lowercase)).status == 0)
      #expect(try await left() == ["-a", "-b"])
      #expect(try await cluster.run("dead", "delete", "\(marker)-b").status == 0)
      #expect(try await cluster.run("dead", "delete", marker).status == 0)
      #expect(try await left() == [])
      #expect(try await cluster.run("dead", "delete", marker).status == 1)
    }
  }
}
