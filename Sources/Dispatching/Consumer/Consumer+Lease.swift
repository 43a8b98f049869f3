internal import CrashPoints
internal import Logging
internal import Primitives
internal import Resilience
internal import ReviewQueue
internal import ReviewStore
internal import Reviews
internal import Spans
internal import Telemetry
internal import Tracing

extension Consumer {
  /// One delivery, from the ticket to its settlement.
  func handle(_ delivery: TicketDelivery) async {
    let ticket = Result { () throws(Ticket.Fault) in try Ticket(body: delivery.body) }
    let reviewID = try? ticket.get().reviewID
    let parent = delivery.traceparent.flatMap { TraceContext(traceparent: $0) } ?? reviewID.map { TraceContext(of: $0) }
    await withSpan(.dispatch, in: parent, attributes(of: try? ticket.get())) { span in
      await handle(ticket, delivery, span.context)
    }
  }

  private func handle(_ ticket: Result<Ticket, Ticket.Fault>, _ delivery: TicketDelivery, _ trace: TraceContext) async {
    await TraceContext.$current.withValue(trace) {
      let undecided = UndecidedDelivery(delivery, inFlight, census)
      switch ticket {
      case .success(let ticket):
        await decide(ticket, undecided, trace)
      case .failure(let fault):
        undecided.decided()
        await deadLetter(delivery, reason: fault.description)
      }
    }
  }

  private func attributes(of ticket: Ticket?) -> SpanAttributes {
    let message = SpanAttributes.message("process", type: "process", of: policy.queue)
    return ticket.map { .review($0.reviewID, attempt: $0.attempt).with(message) } ?? message
  }

  /// Who has the ticket's review: if it is leased for this delivery, an attempt begins.
  private func decide(_ ticket: Ticket, _ undecided: consuming UndecidedDelivery, _ trace: TraceContext) async {
    let delivery = undecided.delivery
    // Without a verdict the delivery was settled, or is not this process's to settle any more.
    guard let answer = await askForLease(ticket, undecided, trace) else { return }
    switch answer.verdict {
    case .leased(let review):
      CrashPoint.leased.reached()
      let lease = Lease(ticket, holder: holder, until: review.leasedUntil)
      undecided.decided()
      metrics.queueWaitSeconds.record(seconds: review.leasedAt.since(review.claimedAt))
      await inFlight.waitForEarlier(lease)
      await run(Attempt(lease: lease, review: review, trace: trace, leasedAt: answer.since))
    case .unreadable(let lease, let reason, let mayBeRunning):
      undecided.decided()
      await conclude(
        .unreadable(reason),
        Attempt(unreadable: lease, mayBeRunning: mayBeRunning, trace: trace, leasedAt: answer.since))
    case .mine(let lease):
      var isAdopted = inFlight.adopt(ticket, delivery)
      if !isAdopted {
        await inFlight.waitForAnswers(of: ticket)
        isAdopted = inFlight.adopt(ticket, delivery)
      }
      undecided.decided()
      if !isAdopted { await resume(ticket, lease, delivery, trace) }
    case .dispatched:
      undecided.decided()
      settle([delivery], .acknowledge, .duplicate)
    case .notDispatchable:
      undecided.decided()
      settle([delivery], .reject, .duplicate)
    case .leasedElsewhere, .lockedByOther:
      undecided.decided()
      // This process ends: another consumer waits in this one's place. Otherwise too many wait already, or this one for too long: the reaper
      // publishes the review again when it is due.
      settle([delivery], isDraining || Task.isCancelled ? .requeue : .reject, .returned)
    case .unknown:
      undecided.decided()
      await deadLetter(
        delivery, reason: "no review has the id \(ticket.reviewID.lowercase)",
        .review(ticket.reviewID, attempt: ticket.attempt, trace))
    }
  }

  /// Asks until it is known who has the review. If that is this process from now on, its attempt is in flight before any other delivery of the
  /// review goes on.
  private func askForLease(
    _ ticket: Ticket, _ undecided: borrowing UndecidedDelivery, _ trace: TraceContext
  ) async -> LeaseAnswer? {
    inFlight.asks(ticket)
    defer { inFlight.answered(ticket) }
    let delivery = undecided.delivery
    let span = startSpan(.lease, in: trace, .statement("lease"))
    var answer = await takeLease(ticket, delivery)
    // A ticket that another process has leased is not counted as missing. One that is only locked may be: it stays undecided here.
    if answer?.verdict == .leasedElsewhere { undecided.isLeasedElsewhere() }
    if let waiting = answer, waiting.verdict == .leasedElsewhere || waiting.verdict == .lockedByOther {
      answer = await waitlist.wait(ticket, waiting)
    }
    span?.end(answer?.verdict)
    switch answer?.verdict {
    case .leased(let review):
      inFlight.begin(
        ticket, delivery, by: Lease(ticket, holder: holder, until: review.leasedUntil), claimedAt: review.claimedAt,
        leasedAt: review.leasedAt)
    case .unreadable(let lease, _, _): inFlight.begin(ticket, delivery, by: lease)
    default: break
    }
    return answer
  }

  /// The lease is this process's own, but its attempt has ended without settling it: dropped, and taken again.
  private func resume(_ ticket: Ticket, _ lease: Lease, _ delivery: TicketDelivery, _ trace: TraceContext) async {
    let undecided = UndecidedDelivery(again: delivery, inFlight, census)
    let isDropped = await databaseOutage.untilItWorks("dropping a lease", while: { _ in isCurrent(delivery) }) {
      try await ledger.drop(lease)
      return true
    }
    guard isDropped != nil else { return }
    await decide(ticket, undecided, trace)
  }

  // MARK: Taking a lease

  /// Between tries of a locked row. Mostly another statement of Baton's holds the lock, for a millisecond or two.
  private static let lockWaits: [Duration] = [.milliseconds(5), .milliseconds(20), .milliseconds(80)]

  /// Takes the lease; repeats the statement while Postgres does not answer.
  /// - Returns: nil if the delivery is settled, or no longer this process's to settle.
  private func takeLease(_ ticket: Ticket, _ delivery: TicketDelivery) async -> LeaseAnswer? {
    for wait in Self.lockWaits {
      let answer = await tryLease(ticket, delivery)
      // One that has held up its batch is looked at apart from now on.
      guard answer?.verdict == .lockedByOther, answer?.hasHeldUpBatch == false else { return answer }
      guard (try? await environment.sleep(for: wait)) != nil else { return nil }
    }
    return await tryLease(ticket, delivery)
  }

  private func tryLease(_ ticket: Ticket, _ delivery: TicketDelivery) async -> LeaseAnswer? {
    let deadline = environment.now + DispatchPolicy.holdMax
    var isWorn = delivery.returnCount >= ReviewTopology.republishLimit
    while true {
      var fault: (any Error)?
      let answer = await databaseOutage.untilItWorks("taking a lease") { error in
        fault = error
        return isCurrent(delivery) && !isWorn && environment.now < deadline && !(error is RowFault)
          && LedgerFaultKind(of: error) != .aboutRow
      } _: {
        try await leases.submit(ticket)
      }
      if let answer { return answer }
      guard isCurrent(delivery), let fault else { return nil }
      if let fault = fault as? RowFault, fault.faultKind == .rowLocked {
        return LeaseAnswer(verdict: .lockedByOther, since: environment.now, hasHeldUpBatch: true)
      }
      if LedgerFaultKind(of: fault) == .aboutRow {
        logger.error(
          "the review cannot be leased; its ticket is rejected, and the reaper publishes it again later",
          metadata: .review(
            ticket.reviewID, attempt: ticket.attempt, TraceContext(of: ticket.reviewID), ["error": "\(fault)"]))
        settle([delivery], .reject, .returned)
        return nil
      }
      if isWorn, await republish(delivery) { return nil }
      isWorn = false
      guard environment.now < deadline else {
        settle([delivery], .requeue, .returned)
        return nil
      }
    }
  }

  // MARK: Deliveries that stand for no attempt

  /// Replaces a ticket by a copy before the broker takes it for poison: it was requeued because of outages, and not because of itself.
  /// - Returns: whether the delivery is settled with that.
  private func republish(_ delivery: TicketDelivery) async -> Bool {
    guard await queue.republish(delivery) == .confirmed else { return false }
    logger.notice(
      "a ticket that outages have requeued too often is published anew",
      metadata: ["message_id": "\(delivery.messageID ?? "none")", "deliveries": "\(delivery.returnCount)"])
    settle([delivery], .reject, .returned)
    return true
  }

  /// Whether settling the delivery still means something: after a reconnect the broker delivers it again, and so it does after the end of this
  /// process, which a cancelled task announces.
  func isCurrent(_ delivery: TicketDelivery) -> Bool {
    delivery.generation == subscription.channel.generation && !isDraining && !Task.isCancelled
  }

  /// Settles deliveries that stand for the same thing, and counts them.
  func settle(
    _ deliveries: [TicketDelivery], _ settlement: TicketSettlement, _ outcome: BatonMetrics.TicketOutcome
  ) {
    if settlement == .requeue { census.gaveBack() }
    if Spans.isEnabled { ActiveSpan.current?.set([SpanKey.outcome: .string(outcome.rawValue)]) }
    for delivery in deliveries {
      subscription.settle(delivery, settlement)
      metrics.deliveries(outcome).increment()
    }
  }

  /// Moves poison to the dead-letter queue: published there and confirmed, then rejected here. Never stops the consumer.
  private func deadLetter(_ delivery: TicketDelivery, reason: String, _ review: Logger.Metadata = [:]) async {
    logger.error(
      "not a message that can be worked on: moving it to \(ReviewTopology.deadQueue)",
      metadata: review.merging(["message_id": "\(delivery.messageID ?? "none")", "reason": "\(reason)"]) { $1 })
    let start = environment.now
    var attempt = 0
    while true {
      let outcome = await queue.publishDead(delivery, reason: reason)
      if outcome == .confirmed { return settle([delivery], .reject, .poison) }
      logger.log(
        level: attempt == 0 ? .warning : .debug, "dead letter not confirmed; trying again",
        metadata: review.merging(["outcome": "\(outcome)"]) { $1 })
      guard isCurrent(delivery) else { return }
      guard environment.now - start < Self.deadLetterTimeMax else { break }
      let pause = policy.retry.delay(attempt: min(attempt, 3), from: environment.random)
      guard (try? await environment.sleep(for: pause)) != nil else { return }
      attempt += 1
    }
    logger.warning(
      "dead letter not confirmed for \(Self.deadLetterTimeMax): requeued at the broker, which counts its deliveries",
      metadata: review)
    settle([delivery], .requeue, .returned)
  }

  /// How long poison is kept here while no dead letter can be published. After that others get its place, and at the delivery limit the
  /// broker moves it to the dead letters itself.
  private static let deadLetterTimeMax: Duration = .seconds(60)
}
