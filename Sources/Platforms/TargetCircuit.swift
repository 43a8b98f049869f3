internal import Logging
internal import Primitives
internal import Resilience
internal import Reviews

/// Stands between one review and its platform's host: asks the circuit, reports the outcome to it, and says what a failure
/// means for the review.
struct TargetCircuit: Sendable {
  let circuit: Circuit
  /// For messages: `GitHub` or `GitLab`.
  let platform: String
  let logger: Logger

  /// How long to stay away while another review tries whether the host is back: about as long as that takes, not as long as it may.
  private static let probeWait: Duration = .seconds(1)

  /// - Throws: `.outage` while the circuit is open.
  func admit() throws(PreparationError) {
    guard case .refused(let until) = circuit.admit() else { return }
    var wait = max(ContinuousClock.now.duration(to: until), .zero)
    if case .halfOpen = circuit.state { wait = min(wait, Self.probeWait) }
    throw .outage(
      target: circuit.name, message: "\(platform) (\(circuit.name)) is unavailable; it is tried again soon.",
      retryAfter: wait)
  }

  /// The host answered.
  func answered() {
    if circuit.succeeded() { logger.notice("\(platform) answers again", metadata: ["target": "\(circuit.name)"]) }
  }

  /// Reports a failure to the circuit and makes it the review's.
  func judge(_ failure: CollectFailure, of review: LeasedReview) -> PreparationError {
    switch failure {
    case .permanent(let code, let message):
      answered()
      return .permanent(code, message: message)
    case .retry(let message):
      answered()
      return .transient(message: message, retryAfter: nil)
    case .wait(let message, let delay): return .transient(message: message, retryAfter: delay)
    // Not a word about the host: it was not called.
    case .keyMissing(let message): return .keyMissing(message: message)
    case .call(let fault, let hint):
      return judge(fault, hint.isEmpty ? "" : " \(hint)", of: review)
    }
  }

  private func judge(_ fault: APIFault, _ hint: String, of review: LeasedReview) -> PreparationError {
    report(fault)
    let host = "\(platform) (\(circuit.name))"
    let name = review.pullRequestName
    switch fault {
    case .missing:
      return .permanent(
        .pullRequestMissing, message: "\(platform) does not show \(name): it does not exist, or may not be read.\(hint)"
      )
    case .unauthorized(let message):
      return .permanent(
        .platformRefused,
        message: "\(platform) does not accept the token for \(name), \(message). Renew the integration's token.\(hint)")
    case .refused(let message):
      return .permanent(
        .platformRefused,
        message: "\(platform) refuses \(name), \(message). Check the integration's rights on the repository.\(hint)")
    case .rateLimited(let delay):
      var generator = SystemRandomNumberGenerator()
      return .transient(
        message: "\(platform)'s rate limit is used up.", retryAfter: RateLimitDelay.spread(delay, using: &generator))
    case .malformed(let message):
      return .transient(
        message: "\(host) gave an answer about \(name) that cannot be used: \(message).", retryAfter: nil)
    case .failing(let message):
      return .outage(
        target: circuit.name, message: "\(host) could not serve \(name): \(message).\(hint)",
        retryAfter: circuit.openFor)
    case .unreachable(let message):
      return .outage(
        target: circuit.name, message: "\(host) cannot be reached: \(message).", retryAfter: circuit.openFor)
    case .cancelled: return .transient(message: "Preparing was cancelled.", retryAfter: nil)
    }
  }

  private func report(_ fault: APIFault) {
    switch fault {
    case .missing, .unauthorized, .refused, .rateLimited, .malformed: answered()
    case .cancelled: break
    case .failing, .unreachable:
      if circuit.failed() {
        logger.warning("\(platform) is unavailable; its reviews wait", metadata: ["target": "\(circuit.name)"])
      }
    }
  }
}
