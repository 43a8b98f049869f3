internal import FoundationEssentials
internal import ReviewStore
internal import Synchronization

/// The endpoints whose latest answer took long, as this process has seen them. Each of them gets one request at a time, and all together a part of
/// the slots: slow answers are no failures, so no circuit keeps them from taking every slot.
final class SlowEndpoints: Sendable {
  private struct State {
    var endpoints: Set<UUID> = []
    /// Events under way that were taken as slow.
    var events: Set<UUID> = []
  }

  /// More are not remembered: people have added each of them.
  private static let countMax = 1_000

  private let limit: Duration
  private let max: Int
  private let state = Mutex(State())

  /// - Parameters:
  ///   - limit: an answer that takes longer is slow.
  ///   - max: events of slow endpoints that are sent at once.
  init(limit: Duration, max: Int) { (self.limit, self.max) = (limit, max) }

  /// Takes up to so many events, those of slow endpoints first and within their bounds.
  /// - Parameters:
  ///   - count: how many at most.
  ///   - store: where the events are.
  func take(_ count: Int, from store: ReviewStore) async throws -> [DueEvent] {
    let (endpoints, room) = state.withLock { (Array($0.endpoints), min(count, max - $0.events.count)) }
    var events: [DueEvent] = []
    if !endpoints.isEmpty, room > 0 {
      events = try await store.takeEvents(limit: room, ofSlow: endpoints)
      let ids = events.map(\.id)
      state.withLock { $0.events.formUnion(ids) }
    }
    guard events.count < count else { return events }
    do {
      return events + (try await store.takeEvents(limit: count - events.count, without: endpoints))
    } catch  where !events.isEmpty {
      return events
    }
  }

  /// Notes how long an endpoint took to answer.
  func answered(_ endpoint: UUID, after time: Duration) {
    state.withLock { state in
      if time < limit {
        state.endpoints.remove(endpoint)
      } else if state.endpoints.count < Self.countMax {
        state.endpoints.insert(endpoint)
      }
    }
  }

  /// Called once for each event that was taken.
  /// - Returns: whether it is time to look for more events of slow endpoints.
  func ended(_ event: DueEvent) -> Bool { state.withLock { $0.events.remove(event.id) != nil } }
}
