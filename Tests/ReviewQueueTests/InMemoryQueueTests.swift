import FoundationEssentials
import InMemoryReviewQueue
import Primitives
import ReviewQueue
import Reviews
import Support
import Testing

@Suite("The work queue in memory", .timeLimit(.minutes(2)))
struct InMemoryQueueTests {
  private let queue = InMemoryTicketQueue()

  private func tickets(_ count: Int) -> [(ticket: Ticket, trace: TraceContext)] {
    (0..<count).map { _ in
      let id = UUID()
      return (Ticket(reviewID: id, attempt: 1, claimedAt: Timestamp(microseconds: 1)), TraceContext(of: id))
    }
  }

  @Test("it does what every queue of tickets has to do", arguments: TicketQueueConformance.allCases)
  func conforms(_ promise: TicketQueueConformance) async throws {
    let queue = queue
    try await promise.run(
      TicketQueueConformance.Harness(
        queue: queue, subscribe: { queue.subscribe(prefetch: $0) }, purge: { queue.purge() },
        delete: { queue.delete() }, publish: { queue.publish(body: $0) }))
  }

  @Test("each publish fails as the hook says, and only what may be queued is")
  func faults() async throws {
    let tickets = tickets(5)
    let faults: [InMemoryTicketQueue.PublishFault?] = [
      .nacked, .returned, .notSent("no"), .confirmLost(isQueued: false), .confirmLost(isQueued: true),
    ]
    let bodies = tickets.map(\.ticket.body)
    queue.fault = { body in bodies.firstIndex(of: body).flatMap { faults[$0] } }
    let outcomes = await queue.publish(tickets)
    #expect(outcomes[0] == .nacked)
    #expect(outcomes[1] == .returned(code: 312, text: "NO_ROUTE"))
    #expect(outcomes[2] == .notSent("no"))
    for outcome in outcomes[3...] {
      guard case .unknown = outcome else {
        Issue.record("\(outcome)")
        continue
      }
    }
    #expect(try await queue.status().messagesReady == 1)
    queue.fault = nil
    #expect(await queue.publish(tickets).allSatisfy { $0 == .confirmed })
    #expect(try await queue.status().messagesReady == 6)
  }

  @Test("while it is blocked or disconnected a publish waits for ten seconds, and goes out if it may by then")
  func blocked() async throws {
    let clock = TestClock()
    let queue = InMemoryTicketQueue(clock: clock)
    let tickets = tickets(1)
    queue.block()
    async let given = queue.publish(tickets)
    try await eventually("it waits") { clock.sleeperCount == 1 }
    clock.advance(by: .seconds(11))
    #expect(await given == [.notSent("the queue is blocked")])
    async let taken = queue.publish(tickets)
    try await eventually("it waits") { clock.sleeperCount == 1 }
    queue.unblock()
    #expect(await taken == [.confirmed])
    queue.disconnect()
    #expect(!queue.isConnected)
    await #expect(throws: InMemoryQueueFault.notConnected) { try await queue.status() }
    async let later = queue.publish(tickets)
    try await eventually("it waits") { clock.sleeperCount >= 1 }
    queue.reconnect()
    #expect(await later == [.confirmed])
  }

  @Test("a cut connection gives back what is unsettled, and a new generation begins when it is back")
  func cut() async throws {
    let subscription = queue.subscribe(prefetch: 5)
    _ = await queue.publish(tickets(2))
    let running = Task { try await subscription.run() }
    let first = try await subscription.deliveries(2)
    queue.disconnect()
    #expect(!subscription.isConnected && !subscription.settle(first[0], .acknowledge))
    #expect(try await subscription.catchUp() == nil)
    queue.reconnect()
    let again = try await subscription.deliveries(2)
    #expect(again.map(\.body) == first.map(\.body))
    #expect(again.allSatisfy { $0.generation == 2 && $0.returnCount == 1 })
    running.cancel()
    try await running.value
    #expect(await subscription.next() == nil)
  }
}
