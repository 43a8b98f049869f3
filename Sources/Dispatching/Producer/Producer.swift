internal import AMQPClient
package import Logging
package import Resilience
internal import ReviewQueue
package import ReviewStore
internal import ServiceLifecycle
package import Telemetry

/// Claims due reviews under their owners' limits and publishes a ticket for each.
package struct Producer: Service {
  private let store: ReviewStore
  private let publisher: ClaimPublisher
  private let holder: Holder.ID
  private let wakeup: Wakeup
  private let policy: DispatchPolicy
  private let metrics: BatonMetrics
  private let logger: Logger

  /// Rows of one pass: large enough that the round trip does not count, small enough that others get a turn.
  private static let batchMax = 1_000
  /// Batches whose confirms may be outstanding while the next is claimed.
  private static let batchesInFlight = 4
  /// Rows claimed before the broker has said how full the queue is: a lone review shall not wait for the answer.
  private static let unaskedMax = 20

  package init(
    store: ReviewStore, publisher: ClaimPublisher, holder: Holder.ID, wakeup: Wakeup, policy: DispatchPolicy,
    metrics: BatonMetrics, logger: Logger
  ) {
    self.store = store
    self.publisher = publisher
    self.holder = holder
    self.wakeup = wakeup
    self.policy = policy
    self.metrics = metrics
    self.logger = logger
  }

  /// What a pass did.
  package struct Pass: Sendable, Codable, Equatable {
    package var claimed = 0
    package var published = 0
  }

  /// Claims and publishes whenever something is due, until the service is shut down; a pass that has begun is finished.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      var failures = 0
      var room = 0
      while !Task.isCancelled {
        do {
          // Without a connection nothing is claimed; the reconnect wakes.
          if publisher.tickets.publisher.isConnected { _ = try await runOnce(room: &room) }
          failures = 0
          let due = try await store.timeUntilNextDue() ?? policy.pollInterval
          try await wakeup.wait(until: .now + min(policy.pollInterval, due + .milliseconds(1)))
        } catch is CancellationError {
          return
        } catch {
          if failures == 0 {
            logger.error("cannot claim; trying again until it works", metadata: ["error": "\(error)"])
          }
          try? await Task.sleep(for: Backoff(base: .milliseconds(100), max: .seconds(5)).delay(attempt: failures))
          failures += 1
        }
      }
    }
    await publisher.finish()
  }

  /// Claims and publishes until nothing more is due, the queue is full, or the caller is cancelled.
  package func runOnce() async throws -> Pass {
    var room = 0
    let pass = try await runOnce(room: &room)
    await publisher.finish()
    return pass
  }

  /// - Parameter room: what the queue had when it was last asked, none where it was not; afterwards what is left.
  private func runOnce(room: inout Int) async throws -> Pass {
    var pass = Pass()
    try await withThrowingTaskGroup(of: Int.self) { group in
      var inFlight = 0
      // A lone review does not wait until the broker has said how full the queue is.
      async let asked = roomInQueue()
      let unasked = min(room, Self.unaskedMax)
      if unasked > 0 {
        pass.claimed = try await claimAndPublish(limit: unasked, &group)
        inFlight = 1
      }
      room = try await asked - pass.claimed
      var mayBeMore = pass.claimed == unasked
      while mayBeMore && room > 0 && !Task.isCancelled {
        let claimed = try await claimAndPublish(limit: min(room, Self.batchMax), &group)
        pass.claimed += claimed
        room -= claimed
        inFlight += 1
        mayBeMore = claimed > 0
        if inFlight == Self.batchesInFlight {
          pass.published += try await group.next() ?? 0
          inFlight -= 1
        }
        // Consumers have taken from it meanwhile.
        if room <= 0 { room = try await roomInQueue() }
      }
      for try await confirmed in group { pass.published += confirmed }
    }
    return pass
  }

  /// Claims a batch, and publishes it while the next is claimed. Both run in tasks of their own: a claim that is made is published,
  /// whatever is cancelled meanwhile.
  /// - Returns: how many were claimed.
  private func claimAndPublish(limit: Int, _ group: inout ThrowingTaskGroup<Int, any Error>) async throws -> Int {
    let claims = try await Task { try await claim(limit: limit) }.value
    group.addTask { await Task { await publisher.publish(claims) }.value }
    return claims.count
  }

  private func claim(limit: Int) async throws -> [Claim] {
    // Claimed rows wait in vain while the broker takes nothing: they stay pending instead.
    guard !publisher.tickets.publisher.isBlocked else { return [] }
    let claims = try await store.claim(limit: limit, ownerLimit: policy.ownerLimit, by: holder)
    metrics.claimed.increment(by: claims.count)
    return claims
  }

  /// How many more messages the work queue should hold (I8).
  private func roomInQueue() async throws -> Int {
    policy.queueDepthMax - (try await publisher.tickets.status().messagesReady)
  }
}
