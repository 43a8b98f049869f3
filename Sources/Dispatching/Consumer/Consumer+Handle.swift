internal import AMQPClient
internal import Logging
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
  func handle(_ delivery: Delivery) async {
    let ticket: Ticket
    do {
      ticket = try Ticket(body: delivery.body)
    } catch {
      hand.decided()
      return await bury(delivery, reason: error.description)
    }
    let trace =
      delivery.headers["traceparent"]?.stringValue.flatMap { TraceContext(traceparent: $0) }?.child()
      ?? TraceContext(reviewID: ticket.reviewID)
    await TraceContext.$current.withValue(trace) { await decide(ticket, delivery, trace) }
  }

  private func decide(_ ticket: Ticket, _ delivery: Delivery, _ trace: TraceContext) async {
    var verdict = await takeLease(ticket, delivery)
    if verdict == .held {
      // Counts as unleased meanwhile: while it is here, the ticket is not lost.
      verdict = await held.wait(ticket)
    }
    guard let verdict else { return hand.decided() }
    switch verdict {
    case .leased(let review):
      hand.begin(ticket, delivery)
      hand.decided()
      metrics.queueWaitSeconds.record(seconds: review.leasedAt.since(review.claimedAt))
      await dispatch(review, ticket, trace)
    case .mine:
      hand.decided()
      if !hand.adopt(ticket, delivery) { await resume(ticket, delivery, trace) }
    case .dispatched:
      hand.decided()
      settle([delivery], .acknowledge, .duplicate)
    case .overtaken:
      hand.decided()
      settle([delivery], .reject, .duplicate)
    case .held:
      hand.decided()
      // Shutting down: another consumer waits for it. Otherwise too many wait already, and the reaper covers it.
      settle([delivery], flow.isDraining ? .giveBack : .reject, .returned)
    case .unknown:
      hand.decided()
      await bury(
        delivery, reason: "no review has the id \(ticket.reviewID.lowercase)",
        .review(ticket.reviewID, attempt: ticket.attempt, trace))
    }
  }

  /// The lease is this process's own, but the work has ended without settling it: dropped, and taken again.
  private func resume(_ ticket: Ticket, _ delivery: Delivery, _ trace: TraceContext) async {
    hand.received()
    let isDropped = await outage.untilItWorks("dropping a lease", while: { _ in isCurrent(delivery) }) {
      try await store.dropLease(ticket, by: holder)
      return true
    }
    guard isDropped != nil else { return hand.decided() }
    await decide(ticket, delivery, trace)
  }

  /// Takes the lease, through an outage of Postgres if need be.
  /// - Returns: nil where the delivery is no longer this process's to settle.
  private func takeLease(_ ticket: Ticket, _ delivery: Delivery) async -> LeaseVerdict? {
    await outage.untilItWorks("taking a lease", while: { _ in isCurrent(delivery) }) { try await leases.submit(ticket) }
  }

  /// Whether settling the delivery still means something: after a reconnect the broker delivers it again.
  func isCurrent(_ delivery: Delivery) -> Bool {
    delivery.generation == source.generation && !flow.isDraining
  }

  /// Settles deliveries that stand for the same thing, and counts them.
  func settle(_ deliveries: [Delivery], _ settling: Settling, _ outcome: BatonMetrics.DeliveryOutcome) {
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
  private func bury(_ delivery: Delivery, reason: String, _ review: Logger.Metadata = [:]) async {
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

  /// How long poison is kept here while no dead letter can be published: then others get its place, and at the delivery limit the broker
  /// moves it to the dead letters itself.
  private static let deadLetterTimeMax: Duration = .seconds(60)
}
