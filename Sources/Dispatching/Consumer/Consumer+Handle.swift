internal import AMQPClient
internal import Logging
internal import Primitives
internal import Resilience
internal import ReviewQueue
internal import ReviewStore
internal import Reviews
internal import Telemetry

extension Consumer {
  /// What happens to a delivery, or to all deliveries of a review.
  enum Settling {
    /// The dispatch has succeeded.
    case acknowledge
    /// The row says what is next.
    case reject
    /// Not decided here: the broker delivers it again, here or elsewhere.
    case giveBack
  }

  /// One delivery, from the ticket to its settlement.
  func handle(_ delivery: AMQPDelivery) async {
    let ticket: Ticket
    do {
      ticket = try Ticket(body: delivery.body)
    } catch {
      hand.decided()
      census.decided(delivery)
      return await bury(delivery, reason: error.description)
    }
    let trace =
      delivery.headers["traceparent"]?.stringValue.flatMap { TraceContext(traceparent: $0) }?.child()
      ?? TraceContext(of: ticket.reviewID)
    await TraceContext.$current.withValue(trace) { await decide(ticket, delivery, trace) }
  }

  private func decide(_ ticket: Ticket, _ delivery: AMQPDelivery, _ trace: TraceContext) async {
    var verdict = await takeLease(ticket, delivery)
    // A ticket that another process has leased is not counted as missing. One that is only locked may be: it stays undecided here.
    if verdict == .held { census.decided(delivery) }
    if let waiting = verdict, waiting == .held || waiting == .locked { verdict = await held.wait(ticket, waiting) }
    // Without a verdict, the delivery stays undecided here until it is back in the queue.
    guard let verdict else { return hand.decided() }
    census.decided(delivery)
    switch verdict {
    case .leased(let review):
      let lease = Lease(ticket, holder: holder, until: review.leasedUntil)
      hand.begin(ticket, delivery, by: lease, claimedAt: review.claimedAt)
      hand.decided()
      metrics.queueWaitSeconds.record(seconds: review.leasedAt.since(review.claimedAt))
      await dispatch(review, lease, trace)
    case .unreadable(let lease, let reason):
      hand.begin(ticket, delivery, by: lease)
      hand.decided()
      await conclude(.unreadable(reason), nil, lease, trace)
    case .mine(let lease):
      hand.decided()
      if !hand.adopt(ticket, delivery) { await resume(ticket, lease, delivery, trace) }
    case .dispatched:
      hand.decided()
      settle([delivery], .acknowledge, .duplicate)
    case .overtaken:
      hand.decided()
      settle([delivery], .reject, .duplicate)
    case .held, .locked:
      hand.decided()
      // Shutting down: another consumer takes over the wait. Otherwise too many wait already, or this one too long: the reaper covers it.
      settle([delivery], flow.isDraining ? .giveBack : .reject, .returned)
    case .unknown:
      hand.decided()
      await bury(
        delivery, reason: "no review has the id \(ticket.reviewID.lowercase)",
        .review(ticket.reviewID, attempt: ticket.attempt, trace))
    }
  }

  /// The lease is this process's own, but the work has ended without settling it: dropped, and taken again.
  private func resume(_ ticket: Ticket, _ lease: Lease, _ delivery: AMQPDelivery, _ trace: TraceContext) async {
    hand.received()
    census.received(delivery)
    let isDropped = await outage.untilItWorks("dropping a lease", while: { _ in isCurrent(delivery) }) {
      try await store.drop(lease)
      return true
    }
    guard isDropped != nil else { return hand.decided() }
    await decide(ticket, delivery, trace)
  }

  /// Between tries of a locked row. Mostly another statement of Baton's holds the lock, for a millisecond or two.
  private static let lockWaits: [Duration] = [.milliseconds(5), .milliseconds(20), .milliseconds(80)]

  /// Takes the lease, through an outage of Postgres if need be.
  /// - Returns: nil if the delivery is settled, or no longer this process's to settle.
  private func takeLease(_ ticket: Ticket, _ delivery: AMQPDelivery) async -> LeaseVerdict? {
    for wait in Self.lockWaits {
      let verdict = await tryLease(ticket, delivery)
      guard verdict == .locked else { return verdict }
      try? await Task.sleep(for: wait)
    }
    return await tryLease(ticket, delivery)
  }

  private func tryLease(_ ticket: Ticket, _ delivery: AMQPDelivery) async -> LeaseVerdict? {
    let deadline = ContinuousClock.now + HeldTickets.timeMax
    var isWorn = delivery.deliveryCount >= ReviewTopology.renewalLimit
    while true {
      var fault: (any Error)?
      let verdict = await outage.untilItWorks("taking a lease") { error in
        fault = error
        return isCurrent(delivery) && !isWorn && .now < deadline && !DatabaseOutage.isAboutRow(error)
      } _: {
        try await leases.submit(ticket)
      }
      if let verdict { return verdict }
      guard isCurrent(delivery), let fault else { return nil }
      if DatabaseOutage.isAboutRow(fault) {
        logger.error(
          "the review cannot be leased; its ticket is rejected, and the reaper publishes it again later",
          metadata: .review(
            ticket.reviewID, attempt: ticket.attempt, TraceContext(of: ticket.reviewID), ["error": "\(fault)"]))
        settle([delivery], .reject, .returned)
        return nil
      }
      if isWorn, await renew(delivery) { return nil }
      isWorn = false
      guard .now < deadline else {
        settle([delivery], .giveBack, .returned)
        return nil
      }
    }
  }

  /// Replaces a ticket by a copy before the broker takes it for poison: deliveries given back during an outage were not its fault.
  /// - Returns: whether the delivery is settled with that.
  private func renew(_ delivery: AMQPDelivery) async -> Bool {
    guard await tickets.renew(delivery) == .confirmed else { return false }
    logger.notice(
      "a ticket that outages have given back too often is published anew",
      metadata: ["message_id": "\(delivery.messageID ?? "none")", "deliveries": "\(delivery.deliveryCount)"])
    settle([delivery], .reject, .returned)
    return true
  }

  /// Whether settling the delivery still means something: after a reconnect the broker delivers it again.
  func isCurrent(_ delivery: AMQPDelivery) -> Bool {
    delivery.generation == source.generation && !flow.isDraining
  }

  /// Settles deliveries that stand for the same thing, and counts them.
  func settle(_ deliveries: [AMQPDelivery], _ settling: Settling, _ outcome: BatonMetrics.DeliveryOutcome) {
    if case .giveBack = settling { census.gaveBack() }
    for delivery in deliveries {
      switch settling {
      case .acknowledge: _ = source.acknowledge(delivery)
      case .reject: _ = source.reject(delivery, requeue: false)
      case .giveBack: _ = source.reject(delivery, requeue: true)
      }
      metrics.deliveries(outcome).increment()
    }
  }

  /// Moves poison to the dead-letter queue: published there and confirmed, then rejected here. Never stops the consumer.
  private func bury(_ delivery: AMQPDelivery, reason: String, _ review: Logger.Metadata = [:]) async {
    logger.error(
      "not a message that can be worked on: moving it to \(ReviewTopology.deadQueue)",
      metadata: review.merging(["message_id": "\(delivery.messageID ?? "none")", "reason": "\(reason)"]) { $1 })
    let start = ContinuousClock.now
    var attempt = 0
    while true {
      let outcome = await tickets.publishDead(delivery, reason: reason)
      if outcome == .confirmed { return settle([delivery], .reject, .poison) }
      logger.log(
        level: attempt == 0 ? .warning : .debug, "dead letter not confirmed; trying again",
        metadata: review.merging(["outcome": "\(outcome)"]) { $1 })
      guard isCurrent(delivery) else { return }
      guard .now - start < Self.deadLetterTimeMax else { break }
      try? await Task.sleep(for: policy.retry.delay(attempt: min(attempt, 3)))
      attempt += 1
    }
    logger.warning(
      "dead letter not confirmed for \(Self.deadLetterTimeMax): given back to the broker, which counts its deliveries",
      metadata: review)
    settle([delivery], .giveBack, .returned)
  }

  /// How long poison is kept here while no dead letter can be published. After that others get its place, and at the delivery limit the
  /// broker moves it to the dead letters itself.
  private static let deadLetterTimeMax: Duration = .seconds(60)
}
