/// What must never happen, and has.
package struct Violation: Sendable, Hashable, CustomStringConvertible {
  /// What must hold in every run.
  package enum Invariant: String, Sendable, CaseIterable {
    case nothingLost = "I1 nothing lost"
    case nothingTwice = "I2 nothing run twice"
    case capacity = "I3 capacity"
    case settlement = "I4 settlement"
    case finalIsFinal = "I5 final is final"
    case boundedRecovery = "I6 bounded recovery"
    case fairness = "I7 fairness"
    case boundedQueue = "I8 bounded queue"
    case noSilentConsumer = "I9 no silent consumer"
    case rest = "the world comes to rest"
    case boundedAttempts = "bounded attempts"
    case cancelDelivered = "the worker hears of each end that is not its own"
    case rightOutcome = "an outcome that is not the worker's"
  }

  package var invariant: Invariant
  package var time: Duration
  package var text: String

  package var description: String { "\(invariant.rawValue): \(text) (\(time.text))" }
}
