/// What happens to a run whose agent has died with the worker.
package enum LostRuns: String, Sendable, CaseIterable {
  /// It fails: nothing is run twice.
  case fail
  /// It is begun again, as the same attempt.
  case restart
}
