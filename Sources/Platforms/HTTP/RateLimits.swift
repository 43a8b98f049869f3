internal import FoundationEssentials
internal import Synchronization

/// What the platforms have said about their limits, for all reviews of the process: while an account's limit is used up, none
/// of its reviews calls, and those of other accounts go on.
final class RateLimits: Sendable {
  /// Above this many, expired ones are dropped.
  private static let countMax = 4_096

  private struct Key: Hashable {
    var authority: String
    var account: String
  }

  private let ends = Mutex<[Key: Date]>([:])

  /// How long an account is not to call; nil if it may.
  func wait(of account: String, at authority: String, now: Date) -> Duration? {
    let end = ends.withLock { $0[Key(authority: authority, account: account)] }
    guard let seconds = end?.timeIntervalSince(now), seconds > 0 else { return nil }
    // A clock that was set back must not hold an account longer than the platform could ask.
    return min(.seconds(seconds), RetryDelay.max)
  }

  /// Keeps an account from calling; a longer time that is known already stays.
  func hold(_ account: String, at authority: String, for delay: Duration, now: Date) {
    let end = now.addingTimeInterval(Double(delay.components.seconds))
    ends.withLock { ends in
      if ends.count >= Self.countMax { ends = ends.filter { $0.value > now } }
      let key = Key(authority: authority, account: account)
      ends[key] = Swift.max(ends[key] ?? end, end)
    }
  }
}
