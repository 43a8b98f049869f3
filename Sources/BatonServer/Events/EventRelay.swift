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
  private let slow: SlowEndpoints
  private let wakeup = Wakeup()

  /// Events that are sent at once.
  package static let sendsAtOnce = 16
  /// To endpoints that answer slowly: the others keep half of the slots.
  package static let slowSendsAtOnce = 8
  private static let retry = DeliveryRetry(
    backoff: Backoff(base: .seconds(5), max: .seconds(3_600)), ageMax: .seconds(3 * 86_400))

  /// - Parameters:
  ///   - store: where events and endpoints are.
  ///   - cipher: opens the endpoints' secrets.
  ///   - allowedHosts: of BATON_EVENT_HOSTS.
  ///   - interval: between looks at the outbox.
  ///   - slowAfter: an endpoint whose answer takes longer is slow.
  ///   - logger: for what it reports.
  ///   - send: posts one event.
  package init(
    store: ReviewStore, cipher: TokenCipher, allowedHosts: [String], interval: Duration = .seconds(1),
    slowAfter: Duration = .seconds(2), logger: Logger, send: @escaping Send
  ) {
    slow = SlowEndpoints(limit: slowAfter, max: Self.slowSendsAtOnce)
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
      count: Self.sendsAtOnce, circuit: nil, interval: interval, wakeup: wakeup,
      take: { try await slow.take($0, from: store) },
      work: { event in
        // There may be more of an endpoint that gets one at a time.
        defer { if slow.ended(event) { wakeup.wake() } }
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
      try await store.deferEvent(event, error: "\(error)", for: DeliveryRetry.blockedDelay)
      if event.tries == 1 {
        logger.warning(
          "an event cannot be sent by this process; trying again every minute",
          metadata: event.metadata(["error": "\(error)"]))
      }
      return
    }
    let body = Array(event.payload.utf8)
    let headers = EventSignature.headers(event.id, at: event.takenAt, body: body, secrets)
    let start = ContinuousClock.now
    let answer = await send(body, address, headers)
    slow.answered(event.endpoint, after: .now - start)
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
    let next = Self.retry.next(tries: event.tries, age: event.age, after: .later(after: pause))
    try await store.eventFailed(event, error: message, retryAfter: next.delay, endpointPause: pause)
    guard next.isNews else { return }
    logger.warning(
      next.isGivenUp ? "an event is given up" : "an event was not accepted; trying again later",
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
