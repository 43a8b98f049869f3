internal import HTTPKit
internal import Resilience
internal import Synchronization

/// Memory for the bodies of callers who are known only when their body has been read: so that however many of them come at once,
/// they get no more than this together.
///
/// A body's room is taken before its first byte is read, all of it, so that no two half-read bodies wait for each other; the socket
/// holds back its sender until then. It is given back when the request is answered. A sender that is slow has its room only for as long
/// as its body may take (``Call/body(upTo:within:)``).
///
/// One address has at most half of it, so that a sender who announces bodies and does not send them leaves room for others.
///
/// Known weakness: several such senders keep out others with bodies of the same size, and have them answered with 503. A body that does not
/// say how long it is counts as the largest: a proxy in front has to send `Content-Length`, as GitHub and GitLab do.
final class BodyMemoryBudget: Sendable {
  private struct State {
    var free: Int
    var held: [PeerAddress: Int] = [:]
    /// Of those that wait for room: each is woken when some was given back.
    var waiting: [UInt64: Wakeup] = [:]
    var nextID: UInt64 = 0
  }

  private let byteCountMax: Int
  private let state: Mutex<State>

  /// How long to wait for room: less than the ten seconds after which GitHub gives up, and does not try again.
  private static let waitMax: Duration = .seconds(6)

  /// - Parameter byteCountMax: of all bodies at once.
  init(byteCountMax: Int) {
    self.byteCountMax = byteCountMax
    state = Mutex(State(free: byteCountMax))
  }

  /// Runs the body with room for so many bytes.
  /// - Parameter peer: the sender; nil for one that is known already.
  /// - Throws: `HTTPFault` 503 if there is none in time.
  func hold<Result>(
    _ byteCount: Int, for peer: PeerAddress? = nil, _ body: () async throws -> Result
  ) async throws -> Result {
    if !take(byteCount, for: peer) { try await waitForRoom(byteCount, for: peer) }
    defer { give(byteCount, of: peer) }
    return try await body()
  }

  /// Returns with the room.
  private func waitForRoom(_ byteCount: Int, for peer: PeerAddress?) async throws {
    let deadline = ContinuousClock.now + Self.waitMax
    // Before the next look, so that nothing which is given back from now on is missed.
    let wakeup = Wakeup()
    let id = state.withLock { state in
      state.nextID += 1
      state.waiting[state.nextID] = wakeup
      return state.nextID
    }
    defer { state.withLock { _ = $0.waiting.removeValue(forKey: id) } }
    while !take(byteCount, for: peer) {
      guard try await wakeup.wait(until: deadline) else {
        throw HTTPFault.unavailable("too many large requests at once: send it again")
      }
    }
  }

  private func take(_ byteCount: Int, for peer: PeerAddress?) -> Bool {
    state.withLock { state in
      guard state.free >= byteCount else { return false }
      if let peer {
        let held = state.held[peer, default: 0]
        // One body has room whatever its size.
        guard held == 0 || held + byteCount <= byteCountMax / 2 else { return false }
        state.held[peer] = held + byteCount
      }
      state.free -= byteCount
      return true
    }
  }

  private func give(_ byteCount: Int, of peer: PeerAddress?) {
    let waiting = state.withLock { state in
      state.free += byteCount
      if let peer, let held = state.held[peer] { state.held[peer] = held > byteCount ? held - byteCount : nil }
      return Array(state.waiting.values)
    }
    for wakeup in waiting { wakeup.wake() }
  }
}
