internal import FoundationEssentials
package import Logging
internal import Platforms
internal import Primitives
internal import Resilience
package import ReviewStore
package import Reviews
internal import ServiceLifecycle
internal import Spans
internal import Telemetry
internal import Tracing

/// Sends the state of reviews to their pull requests, from the outbox that the database writes with every transition.
///
/// Part of `serve`, which always runs (a reaper may come from cron, a minute late), is no part of a review's way, and receives the
/// webhooks that most reviews come from. Any number may run. Nothing waits for it, and no review fails because of it.
package struct FeedbackRelay: Service {
  /// Sends one piece of feedback.
  package typealias Send = @Sendable (PullRequestFeedback) async -> FeedbackAnswer

  private let store: ReviewStore
  private let send: Send
  private let interval: Duration
  private let logger: Logger
  /// One for each host: a host that is unavailable holds up no other's feedback.
  private let circuits = Circuits()

  /// Entries that are sent at once.
  private static let sendsAtOnce = 16
  private static let backoff = Backoff(base: .seconds(5), max: .seconds(600))
  /// A refusal is believed after this: rights are given, and installations finish, a moment late.
  private static let refusalAgeMax: Duration = .seconds(600)
  /// Until what waits for the operator is tried again.
  private static let blockedDelay: Duration = .seconds(60)
  /// What might still go well is tried for so long: a check that never ends holds up a pull request.
  private static let ageMax: Duration = .seconds(7 * 86_400)

  /// - Parameters:
  ///   - store: where the reviews are.
  ///   - interval: between looks at the outbox.
  ///   - logger: for what it reports.
  ///   - send: shows the state of a review on its pull request.
  package init(store: ReviewStore, interval: Duration = .seconds(1), logger: Logger, send: @escaping Send) {
    self.store = store
    self.send = send
    self.interval = interval
    self.logger = logger
  }

  /// Sends what is due, until the service is shut down. What is interrupted is sent again by the next process.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      await feed().run { error in
        logger.error("cannot look for feedback; trying again until it works", metadata: ["error": "\(error)"])
      }
    }
  }

  /// Sends everything that is due now.
  package func deliverDue() async throws { try await feed().drain() }

  private func feed() -> SlotFeed<FeedbackEntry> {
    SlotFeed(
      count: Self.sendsAtOnce, circuit: nil, interval: interval, take: { try await store.takeFeedback(limit: $0) },
      work: { entry in
        do {
          try await deliver(entry)
        } catch {
          logger.warning(
            "the outcome of feedback could not be recorded; the feedback is sent again in a minute",
            metadata: entry.metadata(["error": "\(error)"]))
        }
        return .answered
      })
  }

  private func deliver(_ entry: FeedbackEntry) async throws {
    let circuit = circuits[entry.feedback.integration.instanceUrl ?? entry.feedback.platform.rawValue]
    if case .refused(let until) = circuit.admit() {
      let delay = max(.zero, until - .now) + Self.backoff.delay(attempt: 0)
      return try await store.feedbackFailed(
        entry, error: "\(circuit.name) is unavailable: \(circuit.reason ?? "no answer")", retryAfter: delay)
    }
    let answer = await withSpan(.feedback, in: entry.trace, entry.attributes) { span in
      let answer = await TraceContext.$current.withValue(span.context, operation: { await send(entry.feedback) })
      span.note(answer)
      return answer
    }
    if Task.isCancelled, case .later = answer { return }
    switch answer {
    case .delivered(let checkRunID):
      circuit.succeeded()
      try await store.feedbackTold(entry, checkRunID: checkRunID)
      logger.debug("feedback sent", metadata: entry.metadata([:]))
    case .later(let message, let retryAfter):
      if retryAfter == nil { circuit.failed(reason: message) } else { circuit.succeeded() }
      try await failed(entry, message, ageMax: Self.ageMax, retryAfter)
    case .blocked(let message):
      circuit.succeeded()
      try await failed(entry, message, ageMax: .seconds(Int64.max), Self.blockedDelay)
    case .refused(let message):
      circuit.succeeded()
      // A check that was begun has to end, or the pull request could never be merged.
      let isBegun = entry.feedback.subject == .gate && entry.feedback.toldStatus?.isTerminal == false
      try await failed(
        entry, ReviewStore.refusedMark + message, ageMax: isBegun ? Self.ageMax : Self.refusalAgeMax, nil)
    }
  }

  private func failed(
    _ entry: FeedbackEntry, _ message: String, ageMax: Duration, _ retryAfter: Duration?
  ) async throws {
    let isGivenUp = entry.age >= ageMax
    let delay =
      retryAfter ?? Self.backoff.ceiling(attempt: entry.feedback.tries - 1) / 2
      + Self.backoff.delay(attempt: entry.feedback.tries - 1) / 2
    try await store.feedbackFailed(entry, error: message, retryAfter: isGivenUp ? nil : delay)
    guard isGivenUp || entry.feedback.tries == 1 else { return }
    logger.warning(
      isGivenUp ? "feedback is given up" : "feedback could not be delivered; trying again later",
      metadata: entry.metadata(["error": "\(message)"]))
  }
}

extension ActiveSpan {
  fileprivate func note(_ answer: FeedbackAnswer) {
    switch answer {
    case .delivered: break
    case .later: fail("later")
    case .blocked: fail("blocked")
    case .refused: fail("refused")
    }
  }
}

extension FeedbackEntry {
  fileprivate var attributes: SpanAttributes {
    .review(feedback.reviewID, attempt: feedback.attempt).with([
      SpanKey.platform: .string(feedback.platform.rawValue)
    ])
  }

  fileprivate func metadata(_ more: Logger.Metadata) -> Logger.Metadata {
    .review(
      feedback.reviewID, attempt: feedback.attempt, trace,
      more.merging(["subject": "\(feedback.subject.rawValue)"]) { $1 })
  }
}
