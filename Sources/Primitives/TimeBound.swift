/// A bound in time as people give it: an instant, or a span before now, such as `2h`.
package enum TimeBound: Sendable, Hashable, LosslessStringConvertible {
  case at(Timestamp)
  case ago(seconds: Int64)

  private static let units: [(suffix: String, seconds: Int64)] = [
    ("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800), ("", 1),
  ]
  /// A century: longer ago is a mistake.
  private static let secondsMax: Int64 = 3_155_760_000

  /// Reads `2026-11-28T08:00:00Z`, `2026-11-28`, `90m`, `2h`, `7d`; a bare number is seconds.
  package init?(_ text: String) {
    if let time = Timestamp(text) ?? Timestamp(text + "T00:00:00Z") {
      self = .at(time)
      return
    }
    guard let unit = Self.units.first(where: { text.hasSuffix($0.suffix) }),
      let count = Int64(text.dropLast(unit.suffix.count)), count >= 0, count <= Self.secondsMax / unit.seconds
    else { return nil }
    self = .ago(seconds: count * unit.seconds)
  }

  package var description: String {
    switch self {
    case .at(let time): "\(time)"
    case .ago(let seconds): Self.text(seconds)
    }
  }

  /// In the largest unit that it is a whole number of, up to days: `7d`, `90m`.
  private static func text(_ seconds: Int64) -> String {
    let unit =
      units.last { $0.suffix != "w" && $0.suffix != "" && seconds > 0 && seconds % $0.seconds == 0 } ?? units[0]
    return "\(seconds / unit.seconds)\(unit.suffix)"
  }

  /// The instant, by the database's clock.
  package func instant(now: Timestamp) -> Timestamp {
    switch self {
    case .at(let time): time
    case .ago(let seconds): Timestamp(microseconds: now.microseconds - seconds * 1_000_000)
    }
  }
}
