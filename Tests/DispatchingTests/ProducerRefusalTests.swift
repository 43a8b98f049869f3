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

@Suite("The producer while the queue takes nothing", .timeLimit(.minutes(2)))
struct ProducerRefusalTests {
  @Test("while the queue refuses, nothing more is claimed; the tickets that are owed go out first")
  func owed() async throws {
    let stage = try await Stage()
    stage.queue.fault = { _ in .nacked }
    let ids = try await stage.submit(4)
    try await stage.running(stage.producerService()) { _ in
      try await stage.advance(until: "tickets are owed") { stage.claims.claimAllowance == 0 }
      #expect(stage.claims.refusal == nil, "a lost connection does that too, for a moment")
      let more = try await stage.submit(2)
      try await stage.advance(by: .seconds(5))
      #expect(try await stage.review(more[0]).status == .pending)
      try await stage.advance(until: "the refusal is reported, with its reason") {
        stage.claims.refusal?.reason.hasPrefix("nacked") == true
      }
      #expect(try #require(stage.claims.refusal).age >= .seconds(5))
      stage.queue.fault = nil
      try await stage.advance(until: "all are in the queue") { try await stage.queue.status().messagesReady == 6 }
      #expect(stage.claims.refusal == nil)
    }
    for id in ids { #expect(try await stage.review(id).republishCount == 0) }
    await stage.claims.close()
  }

  @Test("a ticket that the queue has refused for a minute is in it a second after the queue takes tickets again")
  func soonAfterRefusal() async throws {
    let stage = try await Stage()
    try await stage.running(stage.producerService()) { _ in
      for round in 1...5 {
        stage.queue.fault = { _ in .nacked }
        _ = try await stage.submit(1)
        try await stage.advance(by: .seconds(60))
        stage.queue.fault = nil
        let isTakenSince = stage.clock.now
        try await stage.advance(until: "it is in the queue") { try await stage.queue.status().messagesReady == round }
        #expect(stage.clock.now - isTakenSince < .milliseconds(1_300), "I6")
      }
    }
    await stage.claims.close()
  }

  @Test("a refusal is known after another process has taken the claim, and forgotten by one that publishes no more")
  func refusalOfTakenClaim() async throws {
    let stage = try await Stage()
    stage.queue.fault = { _ in .nacked }
    let id = try await stage.submit(1)[0]
    try await stage.running(stage.producerService()) { _ in
      try await stage.advance(until: "the refusal is reported") { stage.claims.refusal != nil }
      _ = try await stage.ledger.cancel(id)
      try await stage.advance(until: "nothing is owed") { stage.claims.claimAllowance > 0 }
      #expect(stage.claims.refusal != nil)
      try await stage.advance(until: "it is forgotten") { stage.claims.refusal == nil }
    }
    await stage.claims.close()
  }

  @Test("a broker that is away refuses nothing: that is reported as what it is")
  func awayIsNoRefusal() async throws {
    let stage = try await Stage()
    stage.queue.fault = { _ in .notSent("there is no connection") }
    _ = try await stage.submit(2)
    try await stage.running(stage.producerService()) { _ in
      try await stage.advance(until: "tickets are owed") { stage.claims.claimAllowance == 0 }
      try await stage.advance(by: .seconds(20))
      #expect(stage.claims.refusal == nil)
      stage.queue.fault = nil
    }
    await stage.claims.close()
  }

  @Test("at the end, claims that the queue did not take are given back, for other processes")
  func givenBack() async throws {
    let stage = try await Stage()
    stage.queue.fault = { _ in .nacked }
    let ids = try await stage.submit(2)
    try await stage.running(stage.producerService()) { _ in
      try await stage.advance(until: "tickets are owed") { stage.claims.claimAllowance == 0 }
    }
    await stage.claims.close()
    for id in ids { #expect(try await stage.review(id).status == .pending) }
  }
}
