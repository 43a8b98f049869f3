internal import Synchronization

/// A source of chance that many tasks share: the system's, or a seeded one, with which a run can be repeated.
public final class RandomSource: Sendable {
  private let generator: Mutex<any RandomNumberGenerator & Sendable>

  /// - Parameter generator: where the numbers come from.
  public init(_ generator: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()) {
    self.generator = Mutex(generator)
  }

  /// The next number.
  public func next() -> UInt64 { generator.withLock { $0.next() } }

  /// A generator for one call, which draws from this source.
  public var drawing: Drawing { Drawing(source: self) }

  /// See ``RandomSource/drawing``.
  public struct Drawing: RandomNumberGenerator, Sendable {
    fileprivate let source: RandomSource

    /// The next number.
    public func next() -> UInt64 { source.next() }
  }
}

extension Backoff {
  /// A wait drawn evenly from zero to `ceiling(attempt:)` with a shared source of chance.
  public func delay(attempt: Int, from source: RandomSource) -> Duration {
    var drawing = source.drawing
    return delay(attempt: attempt, using: &drawing)
  }

  /// A wait of which one half of `ceiling(attempt:)` is certain and the other half is chance, with a shared source of chance.
  public func atLeastHalf(attempt: Int, from source: RandomSource) -> Duration {
    var drawing = source.drawing
    return atLeastHalf(attempt: attempt, using: &drawing)
  }
}
