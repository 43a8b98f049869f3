internal import FoundationEssentials
internal import Primitives
internal import ReviewQueue
internal import ReviewStore
internal import Reviews
internal import Synchronization

/// The reviews that this process prepares or dispatches, and the deliveries that stand for each.
///
/// A review may have more than one delivery: its ticket was published twice, or the connection dropped and the broker delivered
/// it again while the attempt goes on. All of them are settled together when the attempt ends.
final class InFlightAttempts: Sendable {
  private struct Key: Hashable {
    var reviewID: UUID
    var attempt: Int

    init(_ ticket: Ticket) {
      reviewID = ticket.reviewID
      attempt = ticket.attempt
    }

    init(_ lease: Lease) {
      reviewID = lease.reviewID
      attempt = lease.attempt
    }
  }

  private struct InFlight {
    /// The newest: an attempt whose lease has run out has nothing to settle any more.
    var lease: Lease
    var deliveries: [TicketDelivery] = []
  }

  private struct State {
    /// The newest of each review.
    var attempts: [Key: InFlight] = [:]
    /// Of an attempt that began while another of its review went on, that other one: some process took the lease for lost.
    var earlier: [Lease: Lease] = [:]
    /// How many deliveries of a review ask for its lease.
    var asking: [Key: Int] = [:]
    /// What goes on when none asks any more.
    var waiting: [Key: [CheckedContinuation<Void, Never>]] = [:]
    /// Attempts that go on and are not the newest of their review, and what goes on when each has ended.
    var superseded: [Lease: [CheckedContinuation<Void, Never>]] = [:]
    var received = 0
    var undecided = 0
    var leasedUpTo: Timestamp?
  }

  private let state = Mutex(State())

  /// Reviews in flight.
  var count: Int { state.withLock { $0.attempts.count } }

  /// Deliveries for which no lease was decided yet; see ``UndecidedDelivery``.
  var undecidedCount: Int { state.withLock { $0.undecided } }

  /// Deliveries received since the start.
  var receivedCount: Int { state.withLock { $0.received } }

  /// When the newest review was claimed whose ticket came here first and was leased.
  var leasedUpTo: Timestamp? { state.withLock { $0.leasedUpTo } }

  // MARK: Undecided deliveries

  /// A delivery was received: it counts as undecided until its ``UndecidedDelivery`` ends.
  func received() {
    state.withLock { state in
      state.received += 1
      state.undecided += 1
    }
  }

  /// A delivery is to be decided once more.
  fileprivate func undecidedAgain() { state.withLock { $0.undecided += 1 } }

  fileprivate func undecidedEnded() { state.withLock { $0.undecided -= 1 } }

  // MARK: Asking for a lease

  /// A delivery begins to ask for the lease of its review.
  func asks(_ ticket: Ticket) { state.withLock { $0.asking[Key(ticket), default: 0] += 1 } }

  /// A delivery has its answer, and if that is a lease, its attempt has begun.
  func answered(_ ticket: Ticket) {
    let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      let left = (state.asking[Key(ticket)] ?? 1) - 1
      guard left <= 0 else {
        state.asking[Key(ticket)] = left
        return []
      }
      state.asking[Key(ticket)] = nil
      return state.waiting.removeValue(forKey: Key(ticket)) ?? []
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Returns when no other delivery of the review asks for its lease. Two statements may ask at once, and their answers come in any order: that
  /// the lease is this process's own may be known before the answer that gives it has begun its attempt.
  func waitForAnswers(of ticket: Ticket) async {
    await withCheckedContinuation { continuation in
      let mayGoOn = state.withLock { state in
        guard state.asking[Key(ticket)] != nil else { return true }
        state.waiting[Key(ticket), default: []].append(continuation)
        return false
      }
      if mayGoOn { continuation.resume() }
    }
  }

  // MARK: Attempts

  /// Takes a leased review. An earlier attempt of this process, whose lease has run out, leaves its deliveries to this one.
  /// - Parameters:
  ///   - claimedAt: the row's; nil if the row could not be read. The message's own time only says whether it is the ticket of that claim: an
  ///     older one, which entered the queue earlier, proves nothing about what entered it since.
  ///   - leasedAt: the database's clock at the lease; nil if the row could not be read. Later times are of a server whose clock was ahead, and
  ///     prove nothing about what is claimed now.
  func begin(
    _ ticket: Ticket, _ delivery: TicketDelivery, by lease: Lease, claimedAt: Timestamp? = nil,
    leasedAt: Timestamp? = nil
  ) {
    state.withLock { state in
      let earlier = state.attempts[Key(ticket)]
      if let earlier {
        state.earlier[lease] = earlier.lease
        state.superseded[earlier.lease] = []
      }
      state.attempts[Key(ticket)] = InFlight(lease: lease, deliveries: (earlier?.deliveries ?? []) + [delivery])
      guard let claimedAt, let leasedAt else { return }
      if let known = state.leasedUpTo, known > leasedAt { state.leasedUpTo = nil }
      if !delivery.isRedelivered, ticket.claimedAt == claimedAt, claimedAt <= leasedAt {
        state.leasedUpTo = max(state.leasedUpTo ?? claimedAt, claimedAt)
      }
    }
  }

  /// Returns when the attempt before this one of the same review has ended: its start may be on its way to the worker, which does not know the
  /// review yet if it is asked about it now.
  func waitForEarlier(_ lease: Lease) async {
    guard let earlier = state.withLock({ $0.earlier.removeValue(forKey: lease) }) else { return }
    await withCheckedContinuation { continuation in
      let mayGoOn = state.withLock { $0.superseded[earlier]?.append(continuation) == nil }
      if mayGoOn { continuation.resume() }
    }
  }

  /// Adds a delivery to the attempt that stands for the same review.
  /// - Returns: false if that attempt has ended.
  func adopt(_ ticket: Ticket, _ delivery: TicketDelivery) -> Bool {
    state.withLock { $0.attempts[Key(ticket)]?.deliveries.append(delivery) } != nil
  }

  /// Ends the attempt of a lease.
  /// - Returns: its deliveries, to be settled; none if a later lease of the review has taken them over.
  func end(_ lease: Lease) -> [TicketDelivery] {
    let (deliveries, successors) = state.withLock { state -> ([TicketDelivery], [CheckedContinuation<Void, Never>]) in
      state.earlier[lease] = nil
      guard state.attempts[Key(lease)]?.lease == lease else {
        return ([], state.superseded.removeValue(forKey: lease) ?? [])
      }
      return (state.attempts.removeValue(forKey: Key(lease))?.deliveries ?? [], [])
    }
    for successor in successors { successor.resume() }
    return deliveries
  }
}

/// A delivery for which no lease was decided yet.
///
/// How many there are is half of the proof that a ticket is lost: each heartbeat reports it. The compiler keeps the count: a value of this
/// type cannot be copied, and its end, on whichever path, takes it out of the count.
struct UndecidedDelivery: ~Copyable {
  let delivery: TicketDelivery
  private let inFlight: InFlightAttempts
  private let census: TicketCensus

  /// Takes over a delivery that ``InFlightAttempts/received()`` has counted.
  init(_ delivery: TicketDelivery, _ inFlight: InFlightAttempts, _ census: TicketCensus) {
    self.delivery = delivery
    self.inFlight = inFlight
    self.census = census
  }

  /// Counts a delivery once more: its lease was dropped.
  init(again delivery: TicketDelivery, _ inFlight: InFlightAttempts, _ census: TicketCensus) {
    inFlight.undecidedAgain()
    census.received(delivery)
    self.init(delivery, inFlight, census)
  }

  /// Another process has leased the review: its ticket is not missing, although it stays undecided here.
  borrowing func isLeasedElsewhere() { census.decided(delivery) }

  /// The row says what is next for the review. Without this the delivery stays undecided for roll calls, until it is back in the queue.
  consuming func decided() { census.decided(delivery) }

  deinit { inFlight.undecidedEnded() }
}
