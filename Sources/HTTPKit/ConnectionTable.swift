internal import Synchronization

/// The connections of a listener, what each waits for, and since when.
///
/// If the table is full, a new connection takes the place of the one that has kept this server waiting for longest, among those of the address
/// that has the most. So a sender of many slow connections loses its own ones first, and a request that comes whole is answered whatever
/// others do. There is no fixed number for an address: a proxy is one address for all its clients, and rightly has most of them.
final class ConnectionTable<Connection: Sendable>: Sendable {
  private struct Entry {
    let connection: Connection
    let peer: PeerAddress
    var phase: ConnectionState.Phase
    var since: ContinuousClock.Instant
  }

  private struct State {
    var nextID: UInt64 = 0
    var entries: [UInt64: Entry] = [:]
    var counts: [PeerAddress: Int] = [:]

    mutating func remove(_ id: UInt64) -> Entry? {
      guard let entry = entries.removeValue(forKey: id) else { return nil }
      let count = counts[entry.peer, default: 1] - 1
      counts[entry.peer] = count > 0 ? count : nil
      return entry
    }
  }

  private let limits: ConnectionLimits
  private let state = Mutex(State())

  init(limits: ConnectionLimits) { self.limits = limits }

  var count: Int { state.withLock { $0.entries.count } }

  /// Adds a connection.
  /// - Returns: its id, and the connection that has to be closed for it.
  func add(_ connection: Connection, from peer: PeerAddress, now: ContinuousClock.Instant = .now) -> (
    id: UInt64, victim: Connection?
  ) {
    state.withLock { state in
      let victim = state.entries.count < limits.crowdedCount ? nil : Self.victim(in: state)
      let closed = victim.flatMap { state.remove($0) }
      let id = state.nextID
      state.nextID += 1
      state.entries[id] = Entry(connection: connection, peer: peer, phase: .head, since: now)
      state.counts[peer, default: 0] += 1
      return (id, closed?.connection)
    }
  }

  /// One that is being answered is never evicted: it costs the time that this server takes.
  private static func victim(in state: State) -> UInt64? {
    state.entries.lazy.filter { $0.value.phase != .answer }.max { left, right in
      let counts = (state.counts[left.value.peer] ?? 0, state.counts[right.value.peer] ?? 0)
      return counts.0 == counts.1 ? left.value.since > right.value.since : counts.0 < counts.1
    }?.key
  }

  /// Notes what a connection waits for now.
  func set(_ phase: ConnectionState.Phase, of id: UInt64, now: ContinuousClock.Instant = .now) {
    state.withLock { state in
      state.entries[id]?.phase = phase
      state.entries[id]?.since = now
    }
  }

  func remove(_ id: UInt64) { state.withLock { _ = $0.remove(id) } }

  /// Takes out those that have kept this server waiting for too long.
  func takeOverdue(now: ContinuousClock.Instant = .now) -> [Connection] {
    state.withLock { state in
      let ids = state.entries.compactMap { id, entry in
        limits.time(in: entry.phase).map { entry.since + $0 <= now } == true ? id : nil
      }
      return ids.compactMap { state.remove($0)?.connection }
    }
  }
}
