internal import Synchronization

/// Memory for the bodies of callers who are known only when their body has been read: so that however many of them come at once,
/// they get no more than this together.
///
/// A body's room is taken before its first byte is read, all of it, so that no two half-read bodies wait for each other; the socket
/// holds back its sender meanwhile. It is given back when the request is answered. A sender that is slow has its room only for as long
/// as its body may take (``Call/body(upTo:within:)``).
///
/// Known weakness: who announces bodies and does not send them keeps others of the same size waiting, and has them answered with 503. A
/// body that does not say how long it is counts as the largest: a proxy in front has to send `Content-Length`, as GitHub and GitLab do.
final class BodyRoom: Sendable {
  private let free: Mutex<Int>

  /// How long to wait for room: less than the ten seconds after which GitHub gives up, and does not try again.
  private static let patience: Duration = .seconds(6)
  private static let interval: Duration = .milliseconds(20)

  /// - Parameter byteCountMax: of all bodies at once.
  init(byteCountMax: Int) { free = Mutex(byteCountMax) }

  /// Runs the body with room for so many bytes, at most as many as there are in all.
  /// - Throws: `HTTPFault` 503 where there is none in time.
  func hold<Result>(_ byteCount: Int, _ body: () async throws -> Result) async throws -> Result {
    let deadline = ContinuousClock.now + Self.patience
    while !take(byteCount) {
      guard .now < deadline else { throw HTTPFault.unavailable("too many large requests at once: send it again") }
      try await Task.sleep(for: Self.interval)
    }
    defer { free.withLock { $0 += byteCount } }
    return try await body()
  }

  private func take(_ byteCount: Int) -> Bool {
    free.withLock { free in
      guard free >= byteCount else { return false }
      free -= byteCount
      return true
    }
  }
}
