package import Reviews

/// Decides what is tried with some owners before it is there for all.
package protocol FeatureFlags: Sendable {
  /// The agent version for an owner whose configuration names none; nil for the worker's own.
  ///
  /// Never fails, and rarely waits: for at most two seconds, and not for every call.
  func agentVersion(for owner: Owner) async -> String?
}
