internal import FoundationEssentials
internal import NIOHTTP1
internal import Primitives
internal import Synchronization

/// The wall clock as the platforms' hosts have it: this machine's, corrected by the `Date` of their answers.
///
/// A token of a GitHub App is refused if the clock is a minute off, and a limit's reset and a token's end are times of the host's clock. What is
/// decided about them is decided by that clock.
final class PlatformClock: Sendable {
  /// An answer is on its way for some time, and its `Date` has no fraction: what is less is no difference.
  static let tolerance: TimeInterval = 15
  /// Hosts are those that the operator has allowed, so this is only a guard against a mistake.
  private static let countMax = 256

  private let local: @Sendable () -> Date
  private let isCorrected: Bool
  private let corrections = Mutex<[String: TimeInterval]>([:])
  /// The `Date` that was read last: under load many answers have the same one.
  private let lastRead = Mutex<(text: String, time: Timestamp?)>(("", nil))

  /// - Parameters:
  ///   - local: this machine's wall clock.
  ///   - isCorrected: whether answers correct it.
  init(_ local: @escaping @Sendable () -> Date, isCorrected: Bool = true) {
    self.local = local
    self.isCorrected = isCorrected
  }

  /// The time at a host.
  func now(at authority: String) -> Date { local().addingTimeInterval(correction(at: authority)) }

  /// What is added to this machine's clock, in seconds.
  func correction(at authority: String) -> TimeInterval { corrections.withLock { $0[authority] } ?? 0 }

  /// Takes the time out of an answer that has just arrived. One that a cache has kept says nothing.
  func learn(from headers: HTTPHeaders, at authority: String) {
    guard isCorrected, !headers.contains(name: "age"),
      let time = headers.first(name: "date").flatMap({ read($0) })
    else { return }
    let difference = Date(time).timeIntervalSince(local())
    corrections.withLock { corrections in
      if corrections.count >= Self.countMax { corrections = [:] }
      corrections[authority] = abs(difference) < Self.tolerance ? nil : difference
    }
  }

  private func read(_ text: String) -> Timestamp? {
    lastRead.withLock { last in
      if last.text != text { last = (text, LenientTime.read(text)) }
      return last.time
    }
  }
}

extension Date {
  init(_ time: Timestamp) { self.init(timeIntervalSince1970: Double(time.microseconds) / 1_000_000) }
}
