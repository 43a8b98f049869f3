internal import FoundationEssentials

extension Timestamp {
  /// This machine's clock, which may be wrong: for ages of what the database knows nothing of, never for decisions.
  package static var processNow: Timestamp { Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)) }
}
