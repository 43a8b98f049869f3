internal import FoundationEssentials
package import Logging
package import Platforms
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
  /// A host that is unavailable or slow holds up no other's feedback.
  private let shares: HostShares

  /// Entries that are sent at once.
  package static let sendsAtOnce = 16
  /// To one host: one that answers slowly leaves the other half of the slots to the others.
  package static let sendsToHostAtOnce = 8
  private static let retry = DeliveryRetry.ofPlatforms

  /// - Parameters:
  ///   - store: where the reviews are.
  ///   - circuits: of the hosts, which other relays to them share.
  ///   - interval: between looks at the outbox.
  ///   - logger: for what it reports.
  ///   - send: shows the state of a review on its pull request.
  package init(
    store: ReviewStore, circuits: Circuits = Circuits(), interval: Duration = .seconds(1), logger: Logger,
    send: @escaping Send
  ) {
    self.store = store
    shares = HostShares(max: Self.sendsToHostAtOnce, circuits: circuits)
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
    shares.feed(
      count: Self.sendsAtOnce, interval: interval, host: \.host,
      take: { try await store.takeFeedback(limit: $0, without: $1) },
      work: { entry, circuit in
        do {
          try await deliver(entry, circuit)
        } catch {
          logger.warning(
            "the outcome of feedback could not be recorded; the feedback is sent again in a minute",
            metadata: entry.metadata(["error": "\(error)"]))
        }
      })
  }

  private func deliver(_ entry: FeedbackEntry, _ circuit: Circuit) async throws {
    if case .refused(let until) = circuit.admit() {
      return try await store.feedbackFailed(
        entry, error: "\(circuit.name) is unavailable: \(circuit.reason ?? "no answer")",
        retryAfter: Self.retry.delay(until: until))
    }
    let answer = await withSpan(.feedback, in: entry.trace, entry.attributes) { span in
      let answer = await TraceContext.$current.withValue(span.context, operation: { await send(entry.feedback) })
      span.note(answer)
      return answer
    }
    if Task.isCancelled, case .later = answer { return }
    if case .delivered(let checkRunID) = answer {
      circuit.succeeded()
      try await store.feedbackTold(entry, checkRunID: checkRunID)
      logger.debug("feedback sent", metadata: entry.metadata([:]))
    } else if let (failure, message) = answer.failure {
      circuit.note(failure, message)
      try await failed(entry, failure, message)
    }
  }

  private func failed(
    _ entry: FeedbackEntry, _ failure: DeliveryRetry.Failure, _ message: String
  ) async throws {
    // A check that was begun has to end, or the pull request could never be merged: a refusal is waited out as an outage is.
    let isBegun = entry.feedback.subject == .gate && entry.feedback.toldStatus?.isTerminal == false
    let next = Self.retry.next(
      tries: entry.feedback.tries, age: entry.age, after: failure == .refused && isBegun ? .later() : failure)
    let error = (failure == .refused ? ReviewStore.refusedMark : "") + message
    try await store.feedbackFailed(entry, error: error, retryAfter: next.delay)
    guard next.isNews else { return }
    logger.warning(
      next.isGivenUp ? "feedback is given up" : "feedback could not be delivered; trying again later",
      metadata: entry.metadata(["error": "\(error)"]))
  }
}

extension ActiveSpan {
  fileprivate func note(_ answer: FeedbackAnswer) {
    switch answer.failure?.reason {
    case nil: break
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
