internal import Resilience
internal import Reviews

/// When an entry of an outbox that could not be delivered is tried again, and when it is given up: one rule for all relays.
struct DeliveryRetry: Sendable {
  /// Why an entry could not be delivered.
  enum Failure: Sendable, Equatable {
    /// It may go better later.
    /// - Parameter after: when the receiver wants it again; nil if it does not say.
    case later(after: Duration? = nil)
    /// The settings of this process are in the way: it waits for the operator, however long that takes.
    case blocked
    /// The receiver does not want it.
    case refused
  }

  /// What becomes of an entry.
  struct Decision: Sendable, Equatable {
    /// Until it is tried again; nil gives it up.
    var delay: Duration?
    /// Whether people are to know: at the first failure, and when it is given up.
    var isNews: Bool

    var isGivenUp: Bool { delay == nil }
  }

  /// Until what waits for the operator is tried again.
  static let blockedDelay: Duration = .seconds(60)

  let backoff: Backoff
  /// What might still go well is tried for so long.
  let ageMax: Duration
  /// A refusal is believed after this: rights are given, and installations finish, a moment late.
  let refusalAgeMax: Duration

  /// - Parameters:
  ///   - backoff: the waits between tries.
  ///   - ageMax: an entry that might still be delivered is given up at this age.
  ///   - refusalAgeMax: an entry that is refused is given up at this age.
  init(backoff: Backoff, ageMax: Duration, refusalAgeMax: Duration = .seconds(600)) {
    (self.backoff, self.ageMax, self.refusalAgeMax) = (backoff, ageMax, refusalAgeMax)
  }

  /// Of what is shown at GitHub and GitLab: a check that never ends holds up a pull request.
  static let ofPlatforms = DeliveryRetry(
    backoff: Backoff(base: .seconds(5), max: .seconds(600)), ageMax: .seconds(7 * 86_400))

  /// What becomes of an entry after a failure.
  /// - Parameters:
  ///   - tries: how often it has been tried, at least once.
  ///   - age: for how long it could not be delivered.
  ///   - failure: of the latest try.
  func next(tries: Int, age: Duration, after failure: Failure) -> Decision {
    var generator = SystemRandomNumberGenerator()
    return next(tries: tries, age: age, after: failure, using: &generator)
  }

  /// What becomes of an entry after a failure, with a given source of chance.
  func next(
    tries: Int, age: Duration, after failure: Failure, using generator: inout some RandomNumberGenerator
  ) -> Decision {
    var delay: Duration? = backoff.atLeastHalf(attempt: tries - 1, using: &generator)
    switch failure {
    case .later(let wanted): delay = age >= ageMax ? nil : wanted ?? delay
    case .blocked: delay = Self.blockedDelay
    case .refused: if age >= refusalAgeMax { delay = nil }
    }
    return Decision(delay: delay, isNews: delay == nil || tries == 1)
  }

  /// How long an entry waits whose receiver is left alone until a moment. Chance keeps all of them from coming back together.
  func delay(until end: Circuit.Instant) -> Duration { max(.zero, end - .now) + backoff.delay(attempt: 0) }
}

extension FeedbackAnswer {
  /// Why nothing was delivered; nil if it was.
  var failure: (reason: DeliveryRetry.Failure, message: String)? {
    switch self {
    case .delivered: nil
    case .later(let message, let delay): (.later(after: delay), message)
    case .blocked(let message): (.blocked, message)
    case .refused(let message): (.refused, message)
    }
  }
}

extension Circuit {
  /// Notes what an exchange says about its host. Only a host that does not answer is unavailable: one that asks for a pause, or refuses, is not.
  func note(_ failure: DeliveryRetry.Failure?, _ message: String) {
    if failure == .later(after: nil) { failed(reason: message) } else { succeeded() }
  }
}
