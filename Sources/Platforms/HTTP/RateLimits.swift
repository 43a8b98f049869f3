internal import FoundationEssentials
internal import NIOHTTP1
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

  private struct Hold {
    var since: Date
    var end: Date
  }

  private let holds = Mutex<[Key: Hold]>([:])

  /// An account may have several limits at a host: of calls, of searches.
  private struct ShareKey: Hashable {
    var key: Key
    var resource: String
  }

  private struct Share {
    var left: Double
    var end: Date
  }

  private let shares = Mutex<[ShareKey: Share]>([:])

  /// How long an account is not to call; nil if it may.
  func wait(of account: String, at authority: String, now: Date) -> Duration? {
    let hold = holds.withLock { $0[Key(authority: authority, account: account)] }
    guard let seconds = hold?.end.timeIntervalSince(now), seconds > 0 else { return nil }
    // A clock that was set back must not hold an account longer than the platform could ask.
    return min(.seconds(seconds), RateLimitDelay.max)
  }

  /// Keeps an account from calling; a longer time that is known already stays.
  func hold(_ account: String, at authority: String, for delay: Duration, now: Date) {
    let end = now.addingTimeInterval(Double(delay.components.seconds))
    holds.withLock { holds in
      if holds.count >= Self.countMax { holds = holds.filter { $0.value.end > now } }
      let key = Key(authority: authority, account: account)
      if let hold = holds[key], hold.end > now {
        holds[key]?.end = Swift.max(hold.end, end)
      } else {
        holds[key] = Hold(since: now, end: end)
      }
    }
  }

  /// Notes how much of a limit an answer says is left, until that limit is renewed.
  func note(_ headers: HTTPHeaders, of account: String, at authority: String, now: Date) {
    guard let left = RateLimitDelay.shareLeft(headers) else { return }
    let end = RateLimitDelay.end(headers) ?? now.addingTimeInterval(RateLimitDelay.max / .seconds(1))
    let key = ShareKey(
      key: Key(authority: authority, account: account), resource: headers.first(name: "x-ratelimit-resource") ?? "")
    shares.withLock { shares in
      if shares.count >= Self.countMax { shares = shares.filter { $0.value.end > now } }
      guard shares[key] != nil || shares.count < Self.countMax else { return }
      // Answers of calls made at once come in any order.
      if let known = shares[key], known.end >= end, known.end > now {
        shares[key]?.left = min(known.left, left)
      } else {
        shares[key] = Share(left: left, end: end)
      }
    }
  }

  /// The least share of a limit that an account has left, by host; without hosts of which nothing is known now.
  func leastLeft(now: Date) -> [String: Double] {
    shares.withLock { shares in
      shares.filter { $0.value.end > now }.reduce(into: [:]) { least, share in
        least[share.key.key.authority] = min(least[share.key.key.authority] ?? 1, share.value.left)
      }
    }
  }

  /// The hosts of which a limit is used up, by host.
  func usedUp(now: Date) -> [UsedUpLimit] {
    let held = holds.withLock { holds in holds.filter { $0.value.end > now } }
    return Dictionary(grouping: held) { $0.key.authority }.sorted { $0.key < $1.key }.map { authority, holds in
      let since = holds.map(\.value.since).min() ?? now
      let end = holds.map(\.value.end).max() ?? now
      return UsedUpLimit(
        authority: authority, accountCount: holds.count, age: .seconds(Swift.max(now.timeIntervalSince(since), 0)),
        rest: min(.seconds(end.timeIntervalSince(now)), RateLimitDelay.max))
    }
  }
}

/// Accounts of a host that may not call for a while: for the health of a process.
package struct UsedUpLimit: Sendable, Equatable {
  /// The host, and port if it is not the scheme's default.
  package var authority: String
  /// Installations and tokens, each with a limit of its own.
  package var accountCount: Int
  /// Since the first of them is held back.
  package var age: Duration
  /// Until the last of them may call.
  package var rest: Duration
}
