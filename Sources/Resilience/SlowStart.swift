/// How much to send at once to a target that may refuse, and how long to wait after a refusal.
///
/// At first there is no limit. When all of a try was refused, the next try is a single one, after a wait that grows from refusal to refusal.
/// Each try that is taken whole doubles the limit, until there is none again. If a try is taken in part, the taken part becomes the limit.
public struct SlowStart: Sendable {
  /// The most that a try may be.
  public private(set) var limit = Int.max
  /// Tries in a row of which nothing was taken.
  public private(set) var refusals = 0
  private let backoff: Backoff

  /// Where doubling ends: more at once is no longer worth a limit.
  private static let limitMax = 1_024

  /// - Parameter backoff: the waits after refusals; at least half of each ceiling is waited.
  public init(_ backoff: Backoff) { self.backoff = backoff }

  /// Takes note of the result of a try.
  /// - Parameters:
  ///   - count: how much was tried, at least 1.
  ///   - accepted: how much of it was taken.
  /// - Returns: how long to wait, from the beginning of this try, until the next.
  public mutating func tried(_ count: Int, accepted: Int) -> Duration {
    var generator = SystemRandomNumberGenerator()
    return tried(count, accepted: accepted, using: &generator)
  }

  /// Takes note of the result of a try, with a given source of chance.
  public mutating func tried(
    _ count: Int, accepted: Int, using generator: inout some RandomNumberGenerator
  ) -> Duration {
    if accepted >= count {
      refusals = 0
      limit = limit > Self.limitMax / 2 ? .max : limit * 2
      return .zero
    }
    refusals = accepted > 0 ? 0 : refusals + 1
    limit = max(1, accepted)
    return backoff.atLeastHalf(attempt: max(0, refusals - 1), using: &generator)
  }
}
