internal import Resilience
internal import ReviewStore
internal import Synchronization

/// Publishes pages of claims next to each other: the next page, and the next pass, do not wait for the broker's confirms of the last one.
/// What has begun is finished whatever happens to the caller.
final class PagePublisher: Sendable {
  fileprivate struct State {
    var pages: [UInt64: Task<Void, Never>] = [:]
    var nextID: UInt64 = 0
  }

  /// Pages whose confirms may be outstanding.
  private static let pagesMax = 4

  private let publisher: ClaimPublisher
  private let state = Mutex(State())

  init(_ publisher: ClaimPublisher) { self.publisher = publisher }

  /// Begins to publish a page; waits first while too many are under way.
  func begin(_ claims: [Claim]) async {
    guard !claims.isEmpty else { return }
    while let oldest = state.withLock({ $0.pages.count >= Self.pagesMax ? $0.oldest : nil }) { await oldest.value }
    state.withLock { state in
      let id = state.nextID
      state.nextID += 1
      state.pages[id] = Task.onSameExecutor { [publisher] in
        _ = await publisher.publish(claims)
        self.state.withLock { $0.pages[id] = nil }
      }
    }
  }

  /// Returns when everything that has begun is published and recorded, or cannot be.
  func finish() async {
    while let oldest = state.withLock({ $0.oldest }) { await oldest.value }
    await publisher.finish()
  }
}

extension PagePublisher.State {
  fileprivate var oldest: Task<Void, Never>? { pages.min { $0.key < $1.key }?.value }
}
