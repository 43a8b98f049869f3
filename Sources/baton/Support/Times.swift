internal import FoundationEssentials
internal import Primitives
internal import Reviews

/// Times as people say them.
enum Times {
  /// A span in its two largest units at most: `12 ms`, `3.2 s`, `45 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`.
  static func span(_ duration: Duration) -> String {
    guard duration >= .zero else { return "-" + span(.zero - duration) }
    let milliseconds = Int64(min(duration / .milliseconds(1), 9e15).rounded())
    if milliseconds < 1_000 { return "\(milliseconds) ms" }
    let tenths = (milliseconds + 50) / 100
    if tenths < 100 { return "\(tenths / 10).\(tenths % 10) s" }
    let seconds = (milliseconds + 500) / 1_000
    switch seconds {
    case ..<60: return "\(seconds) s"
    case ..<3_600: return pair(seconds / 60, "min", seconds % 60, "s")
    case ..<86_400: return pair(seconds / 3_600, "h", seconds % 3_600 / 60, "min")
    default: return pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h")
    }
  }

  /// A point in time as its distance from now, in one unit: `now`, `3 s ago`, `4 min ago`, `in 10 s`; an infinite one is `never`, or
  /// `always`.
  static func relative(_ time: Timestamp, to now: Timestamp) -> String {
    guard time.isFinite else { return time == .infinity ? "never" : "always" }
    let age = now.since(time)
    let isFuture = age < .zero
    let seconds = Int64(min((age / .seconds(1)).rounded().magnitude, 9e15))
    let text: String
    switch seconds {
    case 0: return "now"
    case ..<60: text = "\(seconds) s"
    case ..<3_600: text = "\(seconds / 60) min"
    case ..<172_800: text = "\(seconds / 3_600) h"
    default: text = "\(seconds / 86_400) d"
    }
    return isFuture ? "in \(text)" : "\(text) ago"
  }

  /// `2026-11-23 22:18:47.123`, in UTC; `infinity` and `-infinity` as Postgres has them.
  static func clock(_ time: Timestamp) -> String {
    guard time.isFinite else { return time.description }
    return String(time.description.dropLast(4)).replacing("T", with: " ")
  }

  private static func pair(_ large: Int64, _ largeUnit: String, _ small: Int64, _ smallUnit: String) -> String {
    small == 0 ? "\(large) \(largeUnit)" : "\(large) \(largeUnit) \(small) \(smallUnit)"
  }
}
