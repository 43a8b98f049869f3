internal import AMQPClient
internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Synchronization

/// The reviews that this process prepares or dispatches, and the deliveries that stand for each.
///
/// A review may have more than one delivery: its ticket was published twice, or the connection dropped and the broker delivered
/// it again while the work goes on. All of them are settled together when the work ends.
final class WorkInHand: Sendable {
  struct Key: Hashable, Sendable {
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

  /// Why a preparation was ended from outside.
  enum Interruption: Sendable {
    case tookTooLong
    case shuttingDown
  }

  private struct Work {
    /// The newest: an attempt whose lease has run out has nothing to settle any more.
    var lease: Lease
    var deliveries: [AMQPDelivery] = []
    var preparation: (@Sendable () -> Void)?
    var deadline: ContinuousClock.Instant?
    var interruption: Interruption?
    var call: (@Sendable () -> Void)?
  }

  private struct State {
    var works: [Key: Work] = [:]
    var undecided = 0
    var isShuttingDown = false
    var hasGivenUpCalls = false
    var leasedUpTo: Timestamp?

    /// Changes the work of a lease, until it ends.
    @discardableResult
    mutating func change<Result>(_ lease: Lease, _ change: (inout Work) -> Result) -> Result? {
      guard var work = works[Key(lease)], work.lease == lease else { return nil }
      defer { works[Key(lease)] = work }
      return change(&work)
    }
  }

  private let state = Mutex(State())

  /// Reviews in flight.
  var count: Int { state.withLock { $0.works.count } }

  /// Deliveries for which no lease was decided yet.
  var undecidedCount: Int { state.withLock { $0.undecided } }

  /// When the newest review was claimed whose ticket came here first and was leased.
  var leasedUpTo: Timestamp? { state.withLock { $0.leasedUpTo } }

  /// A delivery has arrived, and its lease is to be decided.
  func received() { state.withLock { $0.undecided += 1 } }

  /// A delivery's lease was decided, or the delivery is settled or gone.
  func decided() { state.withLock { $0.undecided -= 1 } }

  /// Takes a leased review. An earlier attempt of this process, whose lease has run out, leaves its deliveries to this one.
  /// - Parameter claimedAt: the row's; nil if the row could not be read. The message's own time only says whether it is the ticket of that
  ///   claim: an older one, which entered the queue earlier, proves nothing about what entered it since.
  func begin(_ ticket: Ticket, _ delivery: AMQPDelivery, by lease: Lease, claimedAt: Timestamp? = nil) {
    let overdue = state.withLock { state in
      let earlier = state.works[Key(ticket)]
      state.works[Key(ticket)] = Work(lease: lease, deliveries: (earlier?.deliveries ?? []) + [delivery])
      if let claimedAt, !delivery.isRedelivered, ticket.claimedAt == claimedAt {
        state.leasedUpTo = max(state.leasedUpTo ?? claimedAt, claimedAt)
      }
      return earlier?.preparation
    }
    overdue?()
  }

  /// Adds a delivery to the work that stands for the same review.
  /// - Returns: false if that work has ended.
  func adopt(_ ticket: Ticket, _ delivery: AMQPDelivery) -> Bool {
    state.withLock { state in
      guard state.works[Key(ticket)] != nil else { return false }
      state.works[Key(ticket)]?.deliveries.append(delivery)
      return true
    }
  }

  /// Ends the work of a lease.
  /// - Returns: its deliveries, to be settled; none if a later lease of the review has taken them over.
  func end(_ lease: Lease) -> [AMQPDelivery] {
    state.withLock { state in
      guard state.works[Key(lease)]?.lease == lease else { return [] }
      return state.works.removeValue(forKey: Key(lease))?.deliveries ?? []
    }
  }

  /// Registers a running preparation, so that it can be interrupted.
  func preparing(_ lease: Lease, until deadline: ContinuousClock.Instant, cancel: @escaping @Sendable () -> Void) {
    let isTooLate = state.withLock { state in
      let isTooLate = state.isShuttingDown
      state.change(lease) { work in
        work.preparation = cancel
        work.deadline = deadline
        if isTooLate { work.interruption = .shuttingDown }
      }
      return isTooLate
    }
    if isTooLate { cancel() }
  }

  /// The preparation has ended.
  /// - Returns: why, if it was ended from outside.
  func prepared(_ lease: Lease) -> Interruption? {
    state.withLock { state in
      state.change(lease) { work in
        work.preparation = nil
        work.deadline = nil
        return work.interruption
      } ?? nil
    }
  }

  /// Interrupts the preparations whose time is over.
  func interruptOverdue(at now: ContinuousClock.Instant) {
    interrupt(.tookTooLong) { $0.deadline.map { $0 <= now } ?? false }
  }

  /// Interrupts all preparations, also those that begin from now on.
  func interruptAll() {
    state.withLock { $0.isShuttingDown = true }
    interrupt(.shuttingDown) { _ in true }
  }

  /// Registers a call of the worker, so that it can be given up.
  func calling(_ lease: Lease, cancel: @escaping @Sendable () -> Void) {
    let isTooLate = state.withLock { state in
      state.change(lease) { $0.call = cancel }
      return state.hasGivenUpCalls
    }
    if isTooLate { cancel() }
  }

  /// Whether no call of the worker is waited for any more.
  var hasGivenUpCalls: Bool { state.withLock { $0.hasGivenUpCalls } }

  /// Gives up all calls of the worker, also those that begin from now on: it may have what it was given.
  func giveUpCalls() {
    let cancels = state.withLock { state in
      state.hasGivenUpCalls = true
      return state.works.values.compactMap(\.call)
    }
    for cancel in cancels { cancel() }
  }

  private func interrupt(_ interruption: Interruption, where isMeant: (borrowing Work) -> Bool) {
    let cancels = state.withLock { state in
      var cancels: [@Sendable () -> Void] = []
      for (key, work) in state.works where work.interruption == nil && isMeant(work) {
        guard let cancel = work.preparation else { continue }
        state.works[key]?.interruption = interruption
        cancels.append(cancel)
      }
      return cancels
    }
    for cancel in cancels { cancel() }
  }
}
