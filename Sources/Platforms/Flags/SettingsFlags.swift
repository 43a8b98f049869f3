internal import Crypto
package import Reviews

/// Flags by settings: a version for a share of the owners.
///
/// Who belongs to the share follows from owner and version alone: the same in every process and after every restart. A larger
/// share holds all of the smaller one, and each version is tried with other owners first.
package struct SettingsFlags: FeatureFlags, Equatable {
  /// nil: no owner gets a version.
  package var version: String?
  /// How many of a hundred owners get it.
  package var percent: Int

  package init(version: String? = nil, percent: Int = 100) {
    self.version = version
    self.percent = percent
  }

  package func agentVersion(for owner: Owner) -> String? {
    guard let version, Self.place(of: owner, for: version) < percent * 100 else { return nil }
    return version
  }

  /// Where an owner stands in the line of those who get a version: 0 to 9,999, evenly.
  static func place(of owner: Owner, for version: String) -> Int {
    let digest = SHA256.hash(data: Array("agent_version \(version) \(owner)".utf8))
    return Int(digest.prefix(7).reduce(UInt64(0)) { $0 << 8 | UInt64($1) } % 10_000)
  }
}
