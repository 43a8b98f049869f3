internal import DequeModule

/// Who uses which connection of a pool, who waits, and when to connect. Pure: the pool holds it behind a lock and does
/// what it says.
///
/// A connection is shared by any number of callers, or borrowed by one, and only while no other caller uses it: a caller that shares it
/// has been given the connection, but may send its statement after the borrower's BEGIN, and the transaction would then include the
/// statement. All callers wait in a single queue, in order: so callers that share wait behind a borrower, which therefore gets its turn
/// as soon as what is in flight on any connection has ended.
struct PoolMachine<Connection: AnyObject, Waiter> {
  enum Demand {
    /// For one pipelined request, along with those of others.
    case shared
    /// Alone, for a transaction.
    case exclusive
  }

  private struct Slot {
    let connection: Connection
    /// Shared uses that have not ended.
    var useCount = 0
    var isBorrowed = false
  }

  let sizeMax: Int
  private var slots: [Slot] = []
  private var waiters: Deque<(demand: Demand, waiter: Waiter)> = []
  /// Attempts to connect that are under way, waits between them included.
  private(set) var connectingCount = 0
  /// Attempts that have failed since the last that did not.
  private(set) var failureCount = 0
  /// Connections that were lost and not replaced.
  private(set) var lostCount = 0
  /// A caller had to share although another connection would be allowed.
  private var wantsGrowth = false

  init(sizeMax: Int) {
    precondition(sizeMax > 0, "a pool needs a poolSize of at least 1")
    self.sizeMax = sizeMax
  }

  var openCount: Int { slots.count }
  var borrowedCount: Int { slots.count { $0.isBorrowed } }
  var inFlightCount: Int { slots.reduce(0) { $0 + $1.useCount } }
  var waitingCount: Int { waiters.count }
  var connections: [Connection] { slots.map(\.connection) }

  // MARK: Using

  /// The unborrowed connection with the least in flight, to borrow one with nothing; nil if the caller has to wait.
  mutating func acquire(_ demand: Demand) -> Connection? {
    guard waiters.isEmpty else { return nil }
    return take(demand)
  }

  private mutating func take(_ demand: Demand) -> Connection? {
    var best: Int?
    for (index, slot) in slots.enumerated() where !slot.isBorrowed {
      if best.map({ slot.useCount < slots[$0].useCount }) ?? true { best = index }
    }
    guard let best, demand == .shared || slots[best].useCount == 0 else { return nil }
    if slots[best].useCount > 0 && slots.count < sizeMax { wantsGrowth = true }
    switch demand {
    case .shared: slots[best].useCount += 1
    case .exclusive: slots[best].isBorrowed = true
    }
    return slots[best].connection
  }

  /// Queues a caller that got no connection from `acquire`.
  mutating func wait(_ demand: Demand, _ waiter: Waiter) {
    waiters.append((demand, waiter))
  }

  /// Removes the waiters that do not wait any more.
  mutating func removeWaiters(where isGone: (Waiter) -> Bool) {
    waiters.removeAll { isGone($0.waiter) }
  }

  /// Removes all waiters.
  mutating func removeAllWaiters() -> [Waiter] {
    defer { waiters.removeAll() }
    return waiters.map(\.waiter)
  }

  /// Ends a use; that of a connection which is gone is ignored.
  mutating func release(_ connection: Connection, _ demand: Demand) {
    guard let index = slots.firstIndex(where: { $0.connection === connection }) else { return }
    switch demand {
    case .shared: slots[index].useCount -= 1
    case .exclusive: slots[index].isBorrowed = false
    }
  }

  /// Serves those who wait, in order, as far as connections go.
  /// - Parameter grant: answers whether the waiter took the connection; one that was cancelled does not.
  mutating func serve(_ grant: (Waiter, Connection) -> Bool) {
    while let (demand, waiter) = waiters.first, let connection = take(demand) {
      waiters.removeFirst()
      if !grant(waiter, connection) { release(connection, demand) }
    }
  }

  // MARK: Connecting

  /// Whether to start another attempt to connect; it then counts as under way.
  ///
  /// While attempts fail there is only one at a time: a server that comes back does not get all of them at once.
  mutating func beginConnecting() -> Bool {
    guard slots.count + connectingCount < sizeMax, failureCount == 0 || connectingCount == 0 else { return false }
    guard connectingCount < waiters.count + lostCount || (wantsGrowth && connectingCount == 0) else { return false }
    connectingCount += 1
    return true
  }

  /// Takes in a new connection.
  /// - Returns: whether it takes the place of a lost one.
  mutating func connected(_ connection: Connection) -> Bool {
    slots.append(Slot(connection: connection))
    connectingCount -= 1
    failureCount = 0
    wantsGrowth = false
    guard lostCount > 0 else { return false }
    lostCount -= 1
    return true
  }

  /// Takes in a failed attempt.
  /// - Returns: how many failed before this one, if it is to be repeated; nil if no caller needs it: it has ended then.
  mutating func failed() -> Int? {
    failureCount += 1
    wantsGrowth = false
    guard !waiters.isEmpty || lostCount > 0 else {
      connectingCount -= 1
      return nil
    }
    return failureCount - 1
  }

  /// Ends an attempt without a result.
  mutating func abandoned() { connectingCount -= 1 }

  /// Removes a connection that is over; false if it was not in the pool.
  mutating func lost(_ connection: Connection) -> Bool {
    guard let index = slots.firstIndex(where: { $0.connection === connection }) else { return false }
    slots.remove(at: index)
    lostCount += 1
    return true
  }
}
