package import Reviews

/// Decides what is tried with some owners before it is there for all.
package protocol FeatureFlags: Sendable {
  /// The agent version for an owner whose configuration names none; nil for the worker's own.
  ///
  /// Never fails, and is never worth waiting for: within two seconds, and once in a while only.
  func agentVersion(for owner: Owner) async -> String?
}
