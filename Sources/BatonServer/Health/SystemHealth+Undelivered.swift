internal import Primitives
internal import ReviewStore

/// What others have not accepted, or what they have sent and Baton has not done. See `Undelivered`.
extension SystemHealth {
  var undeliveredFindings: [HealthFinding] {
    overdueFindings.map(\.finding) + eventFindings + [feedbackFinding].compactMap { $0 }
  }

  /// Of webhooks that are not processed, and of cancels that the worker does not accept.
  var overdueFindings: [(overdue: Overdue, finding: HealthFinding)] {
    undelivered.overdue.map { ($0, Self.finding($0)) }
  }

  private static func finding(_ overdue: Overdue) -> HealthFinding {
    let isOne = overdue.count == 1
    func count(_ noun: String) -> String {
      (overdue.isCut ? "more than " : "")
        + Reading.count(overdue.isCut ? ReviewStore.undeliveredCountMax : overdue.count, noun)
    }
    let (title, advice) =
      switch overdue.kind {
      case .waitingWebhooks:
        (
          "\(count("webhook")) \(isOne ? "is" : "are") not processed",
          "They are tried again, and what they report is done then. `baton deliveries` shows them and why."
        )
      case .givenUpWebhooks:
        (
          "\(count("webhook")) \(isOne ? "was" : "were") given up",
          "What they report is not done: a pull request may be without its review. `baton deliveries` shows them and why. Once the cause is gone, have the platform send them again. This is shown for a day."
        )
      case .waitingCancels:
        (
          "\(count("cancel")) not accepted by the worker",
          "The runs may go on. Each cancel is tried for a day. Does the worker answer at BATON_WORKER_URL? Its log says why it does not accept them."
        )
      case .givenUpCancels:
        (
          "\(count("cancel")) \(isOne ? "was" : "were") given up",
          "The worker did not accept them for a day, so the runs may go on: end them there. `baton show` of a review says more. This is shown for a day."
        )
      }
    return HealthFinding(
      grade: .warning, title: title, since: overdue.since, reason: overdue.lastError, advice: advice)
  }

  /// Of endpoints that do not get their events.
  var eventFindings: [HealthFinding] { undelivered.endpoints.map(Self.finding) }

  private static func finding(_ events: UndeliveredEvents) -> HealthFinding {
    let isCut = events.count > ReviewStore.undeliveredCountMax
    let count =
      (isCut ? "more than " : "") + Reading.count(isCut ? ReviewStore.undeliveredCountMax : events.count, "event")
    let verb = events.count == 1 ? "is" : "are"
    let id = events.endpoint.lowercase.prefix(8)
    let (title, advice) =
      switch events.cause {
      case .notAccepted:
        ("\(count) not accepted by \(events.url)", "The reviews themselves go on. Each event is tried for three days.")
      case .notPossible:
        (
          "\(count) cannot be sent to \(events.url)",
          "They wait until it is possible, and none is given up. Compare BATON_EVENT_HOSTS and BATON_ENCRYPTION_KEY of all `baton serve`."
        )
      case .notTaken:
        (
          "\(count) \(verb) not sent to \(events.url)",
          "No server sends them, or not as fast as they come. Is BATON_ENCRYPTION_KEY set for `baton serve`? Its log says if it sends none."
        )
      case .gone:
        (
          "\(events.url) wants no more events",
          "No event is written for it until `baton endpoint enable \(id)`; `baton endpoint retry \(id)` then sends what was given up. If it is not needed any more: `baton endpoint remove \(id)`."
        )
      }
    return HealthFinding(grade: .warning, title: title, since: events.since, reason: events.lastError, advice: advice)
  }

  /// Of pull requests that do not get their feedback, which is tried on.
  var feedbackFinding: HealthFinding? {
    undelivered.feedback.map { feedback in
      HealthFinding(
        grade: .warning,
        title:
          "Feedback waits for \(feedback.isCut ? "more than " : "")\(Reading.count(feedback.reviewCount, "pull request"))",
        since: feedback.since, reason: feedback.lastError,
        advice:
          "The reviews themselves go on, but a check that does not end may block a merge. Once the cause is gone, it is delivered by itself."
      )
    }
  }
}
