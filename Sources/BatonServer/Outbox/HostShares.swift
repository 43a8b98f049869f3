internal import Platforms
internal import Resilience
internal import Synchronization

/// How many items of each host are under way: one host that does not answer, or answers slowly, leaves slots to the others. While it is known
/// to be unavailable, what is due there stays due, and costs nothing.
final class HostShares: Sendable {
  private struct State {
    var counts: [String: Int] = [:]
    /// Hosts that have had their share, and may have more items.
    var full: Set<String> = []
  }

  private let max: Int
  private let circuits: Circuits
  private let state = Mutex(State())

  /// - Parameters:
  ///   - max: of one host.
  ///   - circuits: of the hosts.
  init(max: Int, circuits: Circuits) {
    self.max = max
    self.circuits = circuits
  }

  /// Works on what is due at any host.
  /// - Parameters:
  ///   - count: of items that are worked on at once.
  ///   - interval: between looks.
  ///   - host: of an item.
  ///   - take: see ``take(_:host:_:)``.
  ///   - work: with the circuit of the item's host: it asks that first, and reports to it.
  func feed<Item: Sendable>(
    count: Int, interval: Duration, host: @escaping @Sendable (Item) -> String,
    take: @escaping @Sendable (_ limit: Int, _ without: [String]) async throws -> [Item],
    work: @escaping @Sendable (Item, Circuit) async -> Void
  ) -> SlotFeed<Item> {
    let wakeup = Wakeup()
    return SlotFeed(
      count: count, circuit: nil, interval: interval, wakeup: wakeup,
      take: { [self] in try await self.take($0, host: host, take) },
      work: { [self] item in
        // There may be more of a host that had its share.
        defer { if ended(host(item)) { wakeup.wake() } }
        await work(item, circuits[host(item)])
        return .answered
      })
  }

  /// Takes up to so many items, of each host no more than its share allows.
  /// - Parameters:
  ///   - count: how many at most.
  ///   - host: of an item.
  ///   - take: takes up to so many items; none of the hosts that are named.
  /// - Throws: what taking throws, if nothing was taken before.
  func take<Item>(
    _ count: Int, host: (Item) -> String, _ take: (_ limit: Int, _ without: [String]) async throws -> [Item]
  ) async throws -> [Item] {
    var items: [Item] = []
    while items.count < count {
      let (room, left) = room
      let limit = min(room, count - items.count)
      let taken: [Item]
      do {
        taken = try await take(limit, left)
      } catch  where !items.isEmpty {
        break
      }
      for item in taken { began(host(item)) }
      items += taken
      if taken.count < limit { break }
    }
    return items
  }

  /// How many may begin even if all are of one host; those that have had their share, or are unavailable, are left out.
  private var room: (count: Int, left: [String]) {
    let unavailable = Set(circuits.all.filter { $0.openFor != nil }.map(\.name))
    return state.withLock { state in
      let left = unavailable.union(state.counts.filter { $0.value >= max }.keys)
      return (max - (state.counts.values.filter { $0 < max }.max() ?? 0), left.sorted())
    }
  }

  private func began(_ host: String) {
    state.withLock { state in
      state.counts[host, default: 0] += 1
      if state.counts[host, default: 0] >= max { state.full.insert(host) }
    }
  }

  /// Called once for each item that was taken.
  /// - Returns: whether it is time to look for more of this host.
  func ended(_ host: String) -> Bool {
    state.withLock { state in
      let count = state.counts[host, default: 1] - 1
      state.counts[host] = count > 0 ? count : nil
      // Few at a time are not worth a look.
      return count <= max * 3 / 4 && state.full.remove(host) != nil
    }
  }
}
