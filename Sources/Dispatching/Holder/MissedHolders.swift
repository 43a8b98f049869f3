/// Holders that a look has missed, and that are not known to be dead yet.
enum MissedHolders {
  /// A death is not sure before this time has passed as well.
  private static let margin: Duration = .milliseconds(10)

  /// How long to wait until the next look: until the death of a holder is sure, if that comes before the usual time.
  /// - Parameter untilSure: as the ledger says it; nil if none is missed. At zero, heartbeats have to come before any is judged.
  static func nextLook(_ untilSure: Duration?, atMost interval: Duration) -> Duration {
    guard let untilSure, untilSure > .zero else { return interval }
    return min(interval, untilSure + margin)
  }
}
