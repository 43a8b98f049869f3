internal import FoundationEssentials
package import Logging
package import Platforms
internal import Primitives
internal import Resilience
package import ReviewStore
internal import ServiceLifecycle
internal import Telemetry

/// Sends events to their endpoints, from the outbox that the database writes with the end of every review.
///
/// At least once, and with the same id at every try; not always in order. Any number may run, in any processes: the circuit of an endpoint is in
/// its row, so all of them know it, and people see it. Nothing waits for an endpoint, and no review fails because of one.
package struct EventRelay: Service {
  /// Posts one event.
  package typealias Send =
    @Sendable (_ body: [UInt8], EndpointAddress, _ headers: [(name: String, value: String)]) async -> EventAnswer

  private let store: ReviewStore
  private let cipher: TokenCipher
  private let allowedHosts: [String]
  private let send: Send
  private let interval: Duration
  private let logger: Logger

  /// Events that are sent at once.
  package static let sendsAtOnce = 16
  private static let backoff = Backoff(base: .seconds(5), max: .seconds(3_600))
  /// An event is tried for so long.
  private static let ageMax: Duration = .seconds(3 * 86_400)
  /// Until what waits for the operator is tried again.
  private static let blockedDelay: Duration = .seconds(60)

  /// - Parameters:
  ///   - store: where events and endpoints are.
  ///   - cipher: opens the endpoints' secrets.
  ///   - allowedHosts: of BATON_EVENT_HOSTS.
  ///   - interval: between looks at the outbox.
  ///   - logger: for what it reports.
  ///   - send: posts one event.
  package init(
    store: ReviewStore, cipher: TokenCipher, allowedHosts: [String], interval: Duration = .seconds(1), logger: Logger,
    send: @escaping Send
  ) {
    (self.store, self.cipher, self.allowedHosts) = (store, cipher, allowedHosts)
    (self.send, self.interval, self.logger) = (send, interval, logger)
  }

  /// Sends what is due, until the service is shut down. What is interrupted is sent again by the next process.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      await feed().run { error in
        logger.error("events cannot be read; trying again until it works", metadata: ["error": "\(error)"])
      }
    }
  }

  /// Sends everything that is due now.
  package func deliverDue() async throws { try await feed().drain() }

  private func feed() -> SlotFeed<DueEvent> {
    SlotFeed(
      count: Self.sendsAtOnce, circuit: nil, interval: interval, take: { try await store.takeEvents(limit: $0) },
      work: { event in
        do {
          try await deliver(event)
        } catch {
          logger.warning(
            "the outcome of an event could not be recorded; the event is sent again soon",
            metadata: event.metadata(["error": "\(error)"]))
        }
        return .answered
      })
  }

  private func deliver(_ event: DueEvent) async throws {
    let (address, secrets): (EndpointAddress, SecretList)
    do {
      address = try EndpointAddress(event.url, allowed: allowedHosts)
      let text = try cipher.open(event.secretCiphertext, in: .endpointSecret(of: event.endpoint))
      secrets = SecretList(separated: text.reveal()) ?? SecretList(text)
    } catch {
      try await store.deferEvent(event, error: "\(error)", for: Self.blockedDelay)
      if event.tries == 1 {
        logger.warning(
          "an event cannot be sent by this process; trying again every minute",
          metadata: event.metadata(["error": "\(error)"]))
      }
      return
    }
    let body = Array(event.payload.utf8)
    let headers = EventSignature.headers(event.id, at: event.takenAt, body: body, secrets)
    let answer = await send(body, address, headers)
    if Task.isCancelled, answer != .accepted { return }
    switch answer {
    case .accepted:
      try await store.eventDelivered(event)
      logger.debug("event sent", metadata: event.metadata([:]))
    case .gone:
      try await store.endpointGone(event, error: "it answered 410: it wants no more events")
      logger.warning("an endpoint wants no more events; it is disabled", metadata: event.metadata([:]))
    case .failed(let message, let pause): try await failed(event, message, pause)
    }
  }

  private func failed(_ event: DueEvent, _ message: String, _ pause: Duration?) async throws {
    let isGivenUp = event.age >= Self.ageMax
    let delay =
      pause ?? Self.backoff.ceiling(attempt: event.tries - 1) / 2 + Self.backoff.delay(attempt: event.tries - 1) / 2
    try await store.eventFailed(
      event, error: message, retryAfter: isGivenUp ? nil : delay, endpointPause: pause)
    guard isGivenUp || event.tries == 1 else { return }
    logger.warning(
      isGivenUp ? "an event is given up" : "an event was not accepted; trying again later",
      metadata: event.metadata(["error": "\(message)"]))
  }
}

extension DueEvent {
  fileprivate func metadata(_ more: Logger.Metadata) -> Logger.Metadata {
    ["event": "\(id.lowercase)", "endpoint": "\(endpoint.lowercase)", "review": "\(review.lowercase)"].merging(more) {
      $1
    }
  }
}
