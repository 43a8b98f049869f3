internal import AMQPClient
internal import FoundationEssentials
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
  }

  /// Why a preparation was ended from outside.
  enum Interruption: Sendable {
    case tookTooLong
    case shuttingDown
  }

  private struct Work {
    var deliveries: [Delivery]
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
  }

  private let state = Mutex(State())

  /// Reviews in hand.
  var count: Int { state.withLock { $0.works.count } }

  /// Deliveries for which no lease was decided yet.
  var undecidedCount: Int { state.withLock { $0.undecided } }

  /// When the newest review was claimed whose ticket came here first and was leased.
  var leasedUpTo: Timestamp? { state.withLock { $0.leasedUpTo } }

  /// A delivery has come in, and its lease is to be decided.
  func received() { state.withLock { $0.undecided += 1 } }

  /// A delivery's lease was decided, or the delivery is settled or gone.
  func decided() { state.withLock { $0.undecided -= 1 } }

  /// Takes a leased review into hand.
  /// - Parameter claimedAt: the row's. The message's own time only says whether it is the ticket of that claim: an older one, which entered
  ///   the queue earlier, proves nothing about what entered it since.
  func begin(_ ticket: Ticket, _ delivery: Delivery, claimedAt: Timestamp) {
    state.withLock { state in
      state.works[Key(ticket), default: Work(deliveries: [])].deliveries.append(delivery)
      guard !delivery.isRedelivered, ticket.claimedAt == claimedAt else { return }
      state.leasedUpTo = max(state.leasedUpTo ?? claimedAt, claimedAt)
    }
  }

  /// Adds a delivery to the work that stands for the same review.
  /// - Returns: false where that work has ended meanwhile.
  func adopt(_ ticket: Ticket, _ delivery: Delivery) -> Bool {
    state.withLock { state in
      guard state.works[Key(ticket)] != nil else { return false }
      state.works[Key(ticket)]?.deliveries.append(delivery)
      return true
    }
  }

  /// Ends the work.
  /// - Returns: its deliveries, to be settled.
  func end(_ ticket: Ticket) -> [Delivery] {
    state.withLock { $0.works.removeValue(forKey: Key(ticket))?.deliveries ?? [] }
  }

  /// Registers a running preparation, so that it can be interrupted.
  func preparing(_ ticket: Ticket, until deadline: ContinuousClock.Instant, cancel: @escaping @Sendable () -> Void) {
    let isTooLate = state.withLock { state in
      state.works[Key(ticket)]?.preparation = cancel
      state.works[Key(ticket)]?.deadline = deadline
      if state.isShuttingDown { state.works[Key(ticket)]?.interruption = .shuttingDown }
      return state.isShuttingDown
    }
    if isTooLate { cancel() }
  }

  /// The preparation has ended.
  /// - Returns: why, where it was ended from outside.
  func prepared(_ ticket: Ticket) -> Interruption? {
    state.withLock { state in
      state.works[Key(ticket)]?.preparation = nil
      state.works[Key(ticket)]?.deadline = nil
      return state.works[Key(ticket)]?.interruption
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
  func calling(_ ticket: Ticket, cancel: @escaping @Sendable () -> Void) {
    let isTooLate = state.withLock { state in
      state.works[Key(ticket)]?.call = cancel
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
