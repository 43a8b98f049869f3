internal import FoundationEssentials
internal import Primitives
internal import ReviewQueue
internal import Reviews

extension TicketQueueConformance {
  func publishing(_ harness: Harness) async throws {
    let published = try await harness.publishTickets(20)
    try await harness.subscribing(100) { subscription in
      let deliveries = try await subscription.deliveries(20)
      switch self {
      case .tracesTravel:
        try conforming(deliveries.map(\.traceparent) == published.map { $0.trace.traceparent }, "traces travel along")
      case .tagsCountUp:
        try conforming(deliveries.map(\.tag) == Array(1...20), "tags count up from 1")
        try conforming(Set(deliveries.map(\.generation)) == [1], "the first channel is generation 1")
      case .batchOutcomesArePerTicket:
        let outcomes = await harness.queue.publish([])
        try conforming(outcomes.isEmpty, "nothing published has no outcome")
        try conforming(Set(deliveries.compactMap(\.messageID)).count == 20, "each message has an id of its own")
      default:
        try conforming(deliveries.map(\.body) == published.map(\.ticket.body), "tickets arrive whole and in order")
        try conforming(
          deliveries.allSatisfy { !$0.isRedelivered && $0.returnCount == 0 }, "a first delivery is no redelivery")
      }
    }
  }

  func settling(_ harness: Harness) async throws {
    let published = try await harness.publishTickets(3)
    let dead = try await harness.queue.deadCount()
    try await harness.subscribing { subscription in
      let first = try await subscription.deliveries(3)[0]
      switch self {
      case .acknowledgedIsGone, .rejectedIsGone, .rejectedIsNoDeadLetter:
        try conforming(
          subscription.settle(first, self == .acknowledgedIsGone ? .acknowledge : .reject), "settling has an effect")
        try conforming(try await subscription.hasNothing(), "what was settled is not delivered again")
        try conforming(try await harness.queue.deadCount() == dead, "it is no dead letter")
        subscription.rebuildChannel()
        let again = try await subscription.deliveries(2)
        try conforming(again.map(\.body) == published.dropFirst().map(\.ticket.body), "the others are still there")
      case .settlingTwiceHasNoEffect:
        try conforming(subscription.settle(first, .acknowledge), "the first settlement has an effect")
        for settlement in TicketSettlement.allCases {
          try conforming(!subscription.settle(first, settlement), "a second one has none: \(settlement)")
        }
      case .deliveryLimit: try await overLimit(first, subscription, harness, dead: dead)
      default:
        _ = subscription.settle(first, .requeue)
        let again = try await subscription.delivery()
        try conforming(again.body == first.body && again.messageID == first.messageID, "the same message comes back")
        try conforming(again.isRedelivered && again.returnCount == 1, "its return is counted")
        try conforming(again.tag == 4, "under a new tag")
        _ = subscription.settle(again, .requeue)
        try conforming(try await subscription.delivery().returnCount == 2, "each return is counted")
      }
    }
  }

  private func overLimit(
    _ first: TicketDelivery, _ subscription: any TicketSubscription, _ harness: Harness, dead: Int
  ) async throws {
    var delivery = first
    for _ in 0..<20 {
      _ = subscription.settle(delivery, .requeue)
      delivery = try await subscription.delivery()
      try conforming(delivery.body == first.body, "what is requeued comes back before the others")
    }
    try conforming(delivery.returnCount == 20, "twenty returns are counted")
    _ = subscription.settle(delivery, .requeue)
    try await eventually("it is a dead letter") { try await harness.queue.deadCount() == dead + 1 }
    let letters = try await harness.queue.deadLetters(limit: 1_000)
    let id = try Ticket(body: first.body).reviewID
    let letter = try conforming(letters.first { $0.reviewId == id }, "the dead letter can be read")
    try conforming(letter.isOverDeliveryLimit && letter.attempt == 1, "with the reason and the attempt")
    try conforming(try await subscription.hasNothing(), "and is not delivered any more")
  }

  func sharing(_ harness: Harness) async throws {
    let published = try await harness.publishTickets(6)
    switch self {
    case .prefetchBounds, .settlingMakesRoom:
      try await harness.subscribing(2) { subscription in
        let first = try await subscription.deliveries(2)
        try conforming(try await subscription.hasNothing(), "no more than the prefetch is delivered unsettled")
        guard self == .settlingMakesRoom else { return }
        for settlement in TicketSettlement.allCases.prefix(2) {
          _ = subscription.settle(first[settlement == .acknowledge ? 0 : 1], settlement)
          _ = try await subscription.delivery()
        }
      }
    case .cancelledReaderReturns:
      try await harness.subscribing { subscription in
        _ = try await subscription.deliveries(6)
        let reading = Task { await subscription.next() }
        reading.cancel()
        try conforming(await reading.value == nil, "a cancelled reader returns without a delivery")
        _ = try await harness.publishTickets(1)
        _ = try await subscription.delivery()
      }
    case .stoppedGivesBack:
      try await harness.subscribing { first in _ = try await first.deliveries(6) }
      try await harness.subscribing { second in
        let deliveries = try await second.deliveries(6)
        try conforming(deliveries.map(\.body) == published.map(\.ticket.body), "everything comes back, in order")
        try conforming(deliveries.allSatisfy { $0.isRedelivered && $0.returnCount == 1 }, "and is counted")
      }
    default:
      try await harness.subscribing(3) { first in
        try await harness.subscribing(3) { second in
          let all = try await first.deliveries(3) + second.deliveries(3)
          try conforming(Set(all.map(\.body)).count == 6, "each message goes to one subscription")
        }
      }
    }
  }

  func deadLetters(_ harness: Harness) async throws {
    _ = try await harness.publishTickets(1)
    let dead = try await harness.queue.deadCount()
    try await harness.subscribing { subscription in
      let delivery = try await subscription.delivery()
      switch self {
      case .renewedStartsAnew:
        _ = subscription.settle(delivery, .requeue)
        let worn = try await subscription.delivery()
        try conforming(await harness.queue.republish(worn) == .confirmed, "a copy is taken")
        _ = subscription.settle(worn, .reject)
        let copy = try await subscription.delivery()
        try conforming(copy.body == delivery.body && copy.traceparent == delivery.traceparent, "it is the same ticket")
        try conforming(copy.returnCount == 0 && !copy.isRedelivered, "its deliveries count from zero")
        try conforming(copy.messageID != delivery.messageID, "it is another message")
      case .deadLetterOfNoTicket:
        let body = Array("no ticket \(UUID().lowercase)".utf8)
        try await harness.publish(body)
        let poison = try await subscription.delivery()
        let outcome = await harness.queue.publishDead(poison, reason: "it is none")
        try conforming(outcome == .confirmed, "it is taken as a dead letter")
        let text = String(decoding: body, as: UTF8.self)
        let letter = try conforming(
          try await harness.queue.deadLetters(limit: 1_000).first { $0.body == text }, "it can be read")
        try conforming(letter.reviewId == nil && letter.reason == "it is none", "it names no review")
      default:
        let outcome = await harness.queue.publishDead(delivery, reason: "a test's")
        try conforming(outcome == .confirmed, "a dead letter is taken")
        try await eventually("it is counted") { try await harness.queue.deadCount() == dead + 1 }
        let id = try Ticket(body: delivery.body).reviewID
        for _ in 0..<2 {
          let letters = try await harness.queue.deadLetters(limit: 1_000)
          let letter = try conforming(letters.first { $0.reviewId == id }, "it stays")
          try conforming(letter.reason == "a test's" && !letter.isOverDeliveryLimit, "it has its reason")
          try conforming(letter.messageId == delivery.messageID, "it names the message")
        }
      }
    }
  }

  func pausing(_ harness: Harness) async throws {
    _ = try await harness.publishTickets(2)
    try await harness.subscribing { subscription in
      let first = try await subscription.delivery()
      switch self {
      case .pauseDeliversNothing, .pausedCanBeSettled, .resumeDelivers, .pausedIsNoConsumer:
        let second = try await subscription.delivery()
        await subscription.pause()
        _ = try await harness.publishTickets(1)
        try conforming(try await subscription.hasNothing(), "nothing is delivered while it is paused")
        if self == .pausedIsNoConsumer {
          // One that has deliveries still counts at RabbitMQ.
          for delivery in [first, second] { _ = subscription.settle(delivery, .acknowledge) }
          try await eventually("a paused one is no consumer") { try await harness.queue.status().consumers == 0 }
          return
        }
        try conforming(subscription.settle(first, .acknowledge), "what is unsettled can be settled")
        subscription.resume(limit: nil)
        _ = try await subscription.delivery()
      case .endAfterUnread, .endIsTheEnd, .resumeAfterEnd:
        _ = try await subscription.catchUp()
        await subscription.end()
        _ = try await subscription.delivery()
        try conforming(await subscription.next() == nil, "it ends after what was received")
        try conforming(await subscription.next() == nil, "and stays so")
        try conforming(subscription.settle(first, .acknowledge), "what is unsettled can be settled")
        guard self == .resumeAfterEnd else { return }
        subscription.resume(limit: nil)
        _ = try await harness.publishTickets(1)
        _ = try await subscription.delivery()
      case .limitBounds:
        let second = try await subscription.delivery()
        await subscription.pause()
        for delivery in [first, second] { _ = subscription.settle(delivery, .acknowledge) }
        _ = try await harness.publishTickets(4)
        subscription.resume(limit: 1)
        let third = try await subscription.delivery()
        try conforming(try await subscription.hasNothing(), "a limit bounds what is unsettled")
        _ = subscription.settle(third, .acknowledge)
        _ = try await subscription.delivery()
        try conforming(try await subscription.hasNothing(), "one settled makes room for one")
        subscription.resume(limit: nil)
        _ = try await subscription.deliveries(2)
      case .limitCountsWhatIsUnsettled:
        _ = try await subscription.delivery()
        await subscription.pause()
        _ = try await harness.publishTickets(4)
        subscription.resume(limit: 1)
        try conforming(try await subscription.hasNothing(), "two are unsettled already")
        _ = subscription.settle(first, .acknowledge)
        _ = try await subscription.delivery()
        try conforming(try await subscription.hasNothing(), "one settled makes room for one")
        subscription.resume(limit: nil)
        _ = try await subscription.deliveries(3)
      default: return
      }
    }
  }

  func channels(_ harness: Harness) async throws {
    let published = try await harness.publishTickets(3)
    if self == .noChannelNoPosition {
      let subscription = try harness.subscribe(1)
      try conforming(subscription.channel == TicketChannel(generation: 0, isOpen: false), "no channel before it runs")
      try conforming(try await subscription.catchUp() == nil, "and no position")
      try conforming(!subscription.isConnected, "and no connection")
      return
    }
    try await harness.subscribing { subscription in
      let first = try await subscription.deliveries(self == .unreadIsDroppedWithItsChannel ? 1 : 3)
      switch self {
      case .catchUpHasThePosition, .catchUpAfterSettling:
        let position = try await subscription.catchUp()
        try conforming(position == TicketPosition(generation: 1, tag: 3), "the position is the last delivery's")
        guard self == .catchUpAfterSettling else { return }
        _ = subscription.settle(first[0], .requeue)
        let after = try conforming(try await subscription.catchUp(), "there is a position")
        try conforming(try await subscription.delivery().tag <= max(after.tag, 4), "what was requeued is back")
      default:
        if self == .rebuiltConnectionGivesBack {
          subscription.rebuildConnection()
        } else {
          subscription.rebuildChannel()
        }
        try await eventually("another channel") {
          subscription.channel == TicketChannel(generation: 2, isOpen: true)
        }
        let again = try await subscription.deliveries(3)
        try conforming(again.map(\.body) == published.map(\.ticket.body), "everything comes back, in order")
        try conforming(
          again.allSatisfy { $0.generation == 2 && $0.returnCount == 1 }, "on a new channel, and is counted")
        try conforming(subscription.channel == TicketChannel(generation: 2, isOpen: true), "it is the present one")
        try conforming(!subscription.settle(first[0], .acknowledge), "settling an old delivery has no effect")
        try conforming(subscription.settle(again[0], .acknowledge), "settling a new one has")
      }
    }
  }

  func looking(_ harness: Harness) async throws {
    _ = try await harness.publishTickets(4)
    try await eventually("four are ready") { try await harness.queue.status().messagesReady == 4 }
    try await harness.subscribing(1) { subscription in
      let first = try await subscription.delivery()
      switch self {
      case .readyCount:
        try await eventually("three are ready") { try await subscription.readyCount() == 3 }
      case .purgeLeavesDelivered:
        try await harness.purge()
        try await eventually("none is ready") { try await harness.queue.status().messagesReady == 0 }
        try conforming(subscription.settle(first, .requeue), "what was delivered can be settled")
        try conforming(try await subscription.delivery().body == first.body, "and was not purged")
      case .deletedQueueComesBack:
        try await harness.delete()
        // It still counts against the prefetch.
        _ = subscription.settle(first, .acknowledge)
        try await eventually("the queue is there again, and empty") {
          (try? await harness.queue.status().messagesReady) == 0
        }
        // RabbitMQ 3.10 may send nothing more on a channel that knew the deleted queue: a consumer that gets nothing while tickets are
        // ready rebuilds it (I9).
        subscription.rebuildChannel()
        let published = try await harness.publishTickets(1)
        // What was unread may come first.
        try await eventually("the new ticket comes") {
          let delivery = try await subscription.delivery()
          _ = subscription.settle(delivery, .acknowledge)
          return delivery.body == published[0].ticket.body
        }
      default:
        try await eventually("three are ready, and one consumer is there") {
          try await harness.queue.status() == TicketQueueStatus(messagesReady: 3, consumers: 1)
        }
      }
    }
  }
}
