internal import FoundationEssentials
package import Primitives
package import ReviewQueue
package import Reviews

/// What every ``ReviewQueue/TicketQueue`` has to do: run against RabbitMQ and in memory.
package enum TicketQueueConformance: String, CaseIterable, Sendable {
  case ticketsArriveInOrder, batchOutcomesArePerTicket, tracesTravel, acknowledgedIsGone, rejectedIsGone
  case rejectedIsNoDeadLetter, requeuedComesBackFirst, requeuedIsCounted, prefetchBounds, settlingMakesRoom
  case settlingTwiceHasNoEffect, deliveryLimit, deadLetterHasItsReason, deadLetterOfNoTicket, deadLettersStay
  case renewedStartsAnew, pauseDeliversNothing, pausedCanBeSettled, resumeDelivers, endIsTheEnd, endAfterUnread
  case resumeAfterEnd, limitBounds, limitCountsWhatIsUnsettled, rebuiltChannelGivesBack, rebuiltConnectionGivesBack,
    oldDeliveriesAreStale
  case unreadIsDroppedWithItsChannel, catchUpHasThePosition, catchUpAfterSettling, noChannelNoPosition, statusCounts
  case pausedIsNoConsumer, purgeLeavesDelivered, deletedQueueComesBack, twoSubscriptionsShare, stoppedGivesBack
  case cancelledReaderReturns, tagsCountUp, readyCount

  /// A queue of a test's own, and what the test does to it from outside.
  package struct Harness: Sendable {
    package var queue: any TicketQueue
    /// Makes a subscription, which does not run yet.
    package var subscribe: @Sendable (_ prefetch: Int) throws -> any TicketSubscription
    package var purge: @Sendable () async throws -> Void
    package var delete: @Sendable () async throws -> Void
    /// Publishes a body that may not be a ticket.
    package var publish: @Sendable (_ body: [UInt8]) async throws -> Void

    package init(
      queue: any TicketQueue, subscribe: @escaping @Sendable (_ prefetch: Int) throws -> any TicketSubscription,
      purge: @escaping @Sendable () async throws -> Void, delete: @escaping @Sendable () async throws -> Void,
      publish: @escaping @Sendable (_ body: [UInt8]) async throws -> Void
    ) {
      self.queue = queue
      self.subscribe = subscribe
      self.purge = purge
      self.delete = delete
      self.publish = publish
    }
  }

  /// A promise that was not kept.
  package struct Broken: Error, CustomStringConvertible {
    package var description: String
  }

  /// Runs the case.
  /// - Throws: ``Broken``.
  package func run(_ harness: Harness) async throws {
    switch self {
    case .ticketsArriveInOrder, .batchOutcomesArePerTicket, .tracesTravel, .tagsCountUp: try await publishing(harness)
    case .acknowledgedIsGone, .rejectedIsGone, .rejectedIsNoDeadLetter, .requeuedComesBackFirst, .requeuedIsCounted,
      .settlingTwiceHasNoEffect, .deliveryLimit:
      try await settling(harness)
    case .prefetchBounds, .settlingMakesRoom, .twoSubscriptionsShare, .stoppedGivesBack, .cancelledReaderReturns:
      try await sharing(harness)
    case .deadLetterHasItsReason, .deadLetterOfNoTicket, .deadLettersStay, .renewedStartsAnew:
      try await deadLetters(harness)
    case .pauseDeliversNothing, .pausedCanBeSettled, .resumeDelivers, .endIsTheEnd, .endAfterUnread, .resumeAfterEnd,
      .pausedIsNoConsumer, .limitBounds, .limitCountsWhatIsUnsettled:
      try await pausing(harness)
    case .rebuiltChannelGivesBack, .rebuiltConnectionGivesBack, .oldDeliveriesAreStale,
      .unreadIsDroppedWithItsChannel, .catchUpHasThePosition, .catchUpAfterSettling, .noChannelNoPosition:
      try await channels(harness)
    case .statusCounts, .readyCount, .purgeLeavesDelivered, .deletedQueueComesBack: try await looking(harness)
    }
  }
}

extension TicketQueueConformance.Harness {
  package typealias Published = (ticket: Ticket, trace: TraceContext)

  /// Publishes tickets of new reviews; all have to be confirmed.
  package func publishTickets(_ count: Int) async throws -> [Published] {
    let tickets = (0..<count).map { number in
      let id = UUID()
      return (Ticket(reviewID: id, attempt: number + 1, claimedAt: Timestamp(microseconds: 1)), TraceContext(of: id))
    }
    // A quorum queue that was declared just now refuses until it has a leader.
    try await eventually("the queue takes tickets") {
      let outcomes = await queue.publish(tickets)
      if outcomes.allSatisfy({ $0 == .confirmed }) { return true }
      try await purge()
      return false
    }
    return tickets
  }

  /// Runs a subscription during the body.
  package func subscribing<Result>(
    _ prefetch: Int = 10, _ body: (any TicketSubscription) async throws -> Result
  ) async throws -> Result {
    let subscription = try subscribe(prefetch)
    return try await withRunning({ try await subscription.run() }) {
      try await eventually("a channel") { subscription.channel.isOpen }
      return try await body(subscription)
    }
  }
}

extension TicketSubscription {
  /// The next delivery, which has to come.
  package func delivery() async throws -> TicketDelivery {
    let reading = Task { await next() }
    let timer = Task {
      try await Task.sleep(for: .seconds(30))
      reading.cancel()
    }
    defer { timer.cancel() }
    return try conforming(await reading.value, "a delivery comes")
  }

  package func deliveries(_ count: Int) async throws -> [TicketDelivery] {
    var deliveries: [TicketDelivery] = []
    for _ in 0..<count { deliveries.append(try await delivery()) }
    return deliveries
  }

  /// Whether nothing is delivered, as far as the queue has sent anything by now.
  package func hasNothing() async throws -> Bool {
    _ = try await catchUp()
    let reading = Task { await next() }
    // What was sent is readable at once.
    try await Task.sleep(for: .milliseconds(30))
    reading.cancel()
    return await reading.value == nil
  }
}

/// Requires a promise.
package func conforming(_ holds: Bool, _ promise: String) throws {
  if !holds { throw TicketQueueConformance.Broken(description: "not so: \(promise)") }
}

/// Requires a value.
package func conforming<Value>(_ value: Value?, _ promise: String) throws -> Value {
  guard let value else { throw TicketQueueConformance.Broken(description: "not so: \(promise)") }
  return value
}
