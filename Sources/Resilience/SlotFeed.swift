internal import Synchronization

/// Works through what is due in a store, a bounded number at once, and takes no more than can begin at once: nothing that is taken waits
/// behind something slow.
///
/// With a circuit, nothing more is taken while the target is unavailable; then a single item probes it.
public struct SlotFeed<Item: Sendable>: Sendable {
  /// What the target did with an item.
  public enum Outcome: Sendable {
    /// It answered, whatever it said.
    case answered
    /// It was unavailable, with the reason.
    case failed(String)
    /// Unknown: the work was given up.
    case unknown
  }

  private let slots: Slots
  private let circuit: Circuit?
  private let interval: Duration
  private let wakeup: Wakeup
  private let random: RandomSource
  private let take: @Sendable (Int) async throws -> [Item]
  private let work: @Sendable (Item) async -> Outcome
  private let onCircuit: @Sendable (_ isOpen: Bool) -> Void

  /// - Parameters:
  ///   - count: of items that are worked on at once, at least 1.
  ///   - circuit: of the target; nil if each item has its own.
  ///   - interval: between looks without a wake-up.
  ///   - wakeup: ends the wait for the next look; its clock is the one of all waits.
  ///   - random: decides a part of the waits after a failure.
  ///   - take: takes up to so many items; fewer say that no more are due. It is never cancelled.
  ///   - work: ends soon when it is cancelled.
  ///   - onCircuit: called when the circuit opens, and when it closes: the time to log it.
  public init(
    count: Int, circuit: Circuit?, interval: Duration, wakeup: Wakeup = Wakeup(),
    random: RandomSource = RandomSource(),
    take: @escaping @Sendable (Int) async throws -> [Item], work: @escaping @Sendable (Item) async -> Outcome,
    onCircuit: @escaping @Sendable (_ isOpen: Bool) -> Void = { _ in }
  ) {
    slots = Slots(count: max(1, count))
    self.circuit = circuit
    self.interval = interval
    self.wakeup = wakeup
    self.random = random
    self.take = take
    self.work = work
    self.onCircuit = onCircuit
  }

  /// Works on what is due until the task is cancelled; what is under way is cancelled then.
  /// - Parameter onNewFailure: gets the error of a look that is worth a line in the log; see ``PeriodicLoop``.
  public func run(onNewFailure: (any Error) -> Void) async {
    await withDiscardingTaskGroup { group in
      await PeriodicLoop(interval: interval, wakeup: wakeup, random: random).run(
        { _ = try await fill(&group) }, onNewFailure: onNewFailure)
    }
  }

  /// Works on what is due now, until nothing more is, the target is unavailable, or the deadline has come: what is under way is cancelled then.
  /// - Throws: what taking throws, after what is under way has ended.
  public func drain(until deadline: ContinuousClock.Instant? = nil) async throws {
    var failure: (any Error)?
    await withDiscardingTaskGroup { group in
      do {
        while true {
          let wasIdle = slots.isIdle
          if try await fill(&group) == 0, wasIdle { return }
          if let deadline, deadline <= wakeup.clock.now { return group.cancelAll() }
          try await wakeup.wait(until: deadline)
        }
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  // MARK: Taking

  /// Begins as much as there is, and room for.
  /// - Returns: how many items.
  private func fill(_ group: inout DiscardingTaskGroup) async throws -> Int {
    var count = 0
    while let items = try await takeItems() {
      count += items.count
      for item in items { group.addTask { await run(item) } }
      guard slots.mayBeMore else { break }
    }
    return count
  }

  /// - Returns: nil if nothing is due, or nothing may begin.
  private func takeItems() async throws -> [Item]? {
    guard !Task.isCancelled, let room = slots.room(isProbing: isProbing) else { return nil }
    // What is taken is begun, even if the caller is cancelled in the meantime.
    let items = try await uncancelled { try await take(room) }
    slots.began(items.count, isAll: items.count < room)
    guard !items.isEmpty else { return nil }
    if isProbing == true { _ = circuit?.admit() }
    return items
  }

  /// Whether what is taken now is a probe; nil if nothing may be taken, because the circuit is open and would admit none.
  private var isProbing: Bool? {
    guard let circuit, circuit.state != .closed else { return false }
    return circuit.openFor == nil ? true : nil
  }

  // MARK: Working

  private func run(_ item: Item) async {
    switch await work(item) {
    case .answered: if circuit?.succeeded() == true { onCircuit(false) }
    case .failed(let reason): if circuit?.failed(reason: reason) == true { onCircuit(true) }
    case .unknown: break
    }
    if slots.ended() { wakeup.wake() }
  }
}

/// How many items are under way, and whether more may be due.
private final class Slots: Sendable {
  private struct State {
    var inFlight = 0
    var mayBeMore = false
  }

  private let count: Int
  private let state = Mutex(State())

  init(count: Int) { self.count = count }

  /// How many may begin now; nil for none. Few at a time are not worth a look while others are under way.
  /// - Parameter isProbing: whether a single one may; nil for none.
  func room(isProbing: Bool?) -> Int? {
    state.withLock { state in
      guard let isProbing else { return nil }
      if isProbing { return state.inFlight == 0 ? 1 : nil }
      let free = count - state.inFlight
      return free > 0 && (state.inFlight == 0 || free >= max(1, count / 4)) ? free : nil
    }
  }

  func began(_ count: Int, isAll: Bool) {
    state.withLock { state in
      state.inFlight += count
      state.mayBeMore = !isAll
    }
  }

  /// - Returns: whether it is time to look for more.
  func ended() -> Bool {
    state.withLock { state in
      state.inFlight -= 1
      return state.mayBeMore || state.inFlight == 0
    }
  }

  var mayBeMore: Bool { state.withLock { $0.mayBeMore } }
  var isIdle: Bool { state.withLock { $0.inFlight == 0 } }
}
