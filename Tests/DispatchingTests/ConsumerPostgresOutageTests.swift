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

@Suite("The consumer during outages of Postgres", .timeLimit(.minutes(2)))
struct ConsumerPostgresOutageTests {
  @Test("an outage ends with its end, although no delivery is left whose statement would show that")
  func outageWithoutDeliveries() async throws {
    let stage = try await Stage()
    try await stage.publish(1)
    stage.faults["*"] = .fail(.unreachable)
    try await stage.consuming {
      try await stage.advance(by: .seconds(5))
      #expect(stage.consumer.fault != nil)
      stage.subscription.inner.disconnect()
      stage.queue.purge()
      stage.subscription.inner.reconnect()
      try await stage.advance(by: .seconds(5))
      #expect(stage.consumer.fault != nil && stage.consumer.report.unleasedTickets == 0)
      stage.faults["*"] = nil
      try await stage.advance(by: .seconds(2))
      #expect(stage.consumer.fault == nil)
    }
  }

  @Test("without Postgres a delivery is held, and dispatched when Postgres answers again")
  func outage() async throws {
    let stage = try await Stage()
    let id = try await stage.publish(1)[0]
    stage.faults["*"] = .fail(.unreachable)
    try await stage.consuming {
      try await stage.advance(by: .seconds(40))
      #expect(stage.consumer.fault != nil)
      #expect(stage.consumer.report.unleasedTickets == 1 && stage.subscription.settlements == [])
      stage.faults["*"] = nil
      let answered = stage.clock.now
      try await stage.advance(until: "it is dispatched") { stage.subscription.settlements == [.acknowledge] }
      #expect(stage.clock.now - answered < .milliseconds(1_500), "I6")
      #expect(stage.consumer.fault == nil)
    }
    #expect(stage.worker.starts == [id])
  }

  @Test("after 90 s without Postgres nothing was acknowledged: all went back to the queue, and is dispatched once")
  func longOutage() async throws {
    let stage = try await Stage()
    let ids = try await stage.publish(3)
    stage.faults["*"] = .fail(.unreachable)
    try await stage.consuming {
      try await stage.advance(by: .seconds(90))
      #expect(try await stage.queue.status() == TicketQueueStatus(messagesReady: 3, consumers: 0))
      #expect(stage.subscription.settlements == [] && stage.consumer.fault != nil)
      #expect(stage.consumer.report.unleasedTickets == 0)
      stage.faults["*"] = nil
      let answered = stage.clock.now
      try await stage.advance(until: "they are dispatched") { stage.subscription.settlements.count == 3 }
      #expect(stage.clock.now - answered < .seconds(10), "I6")
    }
    #expect(stage.subscription.settlements.allSatisfy { $0 == .acknowledge })
    #expect(stage.worker.starts.count == 3 && Set(stage.worker.starts) == Set(ids))
    for id in ids { #expect(try await stage.review(id).dispatchFailures == 0) }
  }

  @Test("an outage of 90 s after the worker has said yes: one start, recorded and acknowledged when Postgres answers")
  func longOutageOfTheRecord() async throws {
    let stage = try await Stage()
    let id = try await stage.publish(1)[0]
    stage.worker.onStart { id, attempt in
      stage.faults["*"] = .fail(.unreachable)
      return .accepted(id, attempt)
    }
    try await stage.consuming {
      try await stage.advance(until: "it is called") { !stage.worker.starts.isEmpty }
      try await stage.advance(by: .seconds(90))
      #expect(stage.subscription.settlements == [])
      stage.faults["*"] = nil
      try await stage.advance(until: "it is acknowledged") { stage.subscription.settlements == [.acknowledge] }
    }
    #expect(stage.worker.starts == [id])
    #expect(try await stage.review(id).dispatchedAt != nil)
    #expect(try await stage.queue.status().messagesReady == 0)
  }

  @Test("a ticket that outages have given back ten times is published anew, and its copy counts from zero")
  func renewed() async throws {
    let stage = try await Stage()
    let id = try await stage.publish(1)[0]
    let wearing = stage.queue.subscribe(prefetch: 1)
    let running = Task { try await wearing.run() }
    for _ in 0..<10 {
      let delivery = try #require(await wearing.next())
      wearing.settle(delivery, .requeue)
    }
    running.cancel()
    try await running.value
    stage.faults["lease"] = .fail(.unreachable)
    try await stage.consuming {
      try await stage.advance(until: "it is published anew") { stage.subscription.settlements == [.reject] }
      stage.faults["lease"] = nil
      try await stage.advance(until: "it is dispatched") { stage.subscription.settlements == [.reject, .acknowledge] }
    }
    #expect(stage.worker.starts == [id])
    #expect(try await stage.queue.deadCount() == 0)
  }
}
