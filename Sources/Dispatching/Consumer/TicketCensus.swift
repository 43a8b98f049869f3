internal import FoundationEssentials
internal import Primitives
internal import Resilience
internal import ReviewQueue
internal import Reviews
internal import Synchronization

/// The deliveries of the present channel for which no lease was decided yet, and whether any went back to the queue: what a consumer
/// answers to a roll call.
final class TicketCensus: Sendable {
  private struct State {
    var channel = TicketChannel(generation: 0, isOpen: false)
    /// The bodies of those undecided, by their tags.
    var undecided: [UInt64: [UInt8]] = [:]
    var lastTag: UInt64 = 0
    var hasGivenBack = false

    /// Another channel, or none: what was undecided has gone back to the queue.
    mutating func follow(_ channel: TicketChannel) {
      guard channel != self.channel else { return }
      if channel.generation != self.channel.generation || !channel.isOpen {
        undecided = [:]
        lastTag = 0
      }
      // Before the first channel nothing was received.
      if self.channel.generation > 0 { hasGivenBack = true }
      self.channel = channel
    }
  }

  private let state = Mutex(State())
  /// Woken by each delivery that is received.
  private let arrivals: Wakeup

  init(clock: any MonotonicClock = ContinuousClock()) { arrivals = Wakeup(clock: clock) }

  /// A delivery was received, or its lease was dropped: its lease is to be decided.
  func received(_ delivery: TicketDelivery) {
    state.withLock { state in
      // A delivery of an earlier channel is back in the queue.
      guard delivery.generation >= state.channel.generation else { return }
      if delivery.generation > state.channel.generation {
        state.follow(TicketChannel(generation: delivery.generation, isOpen: true))
      }
      state.undecided[delivery.tag] = delivery.body
      state.lastTag = max(state.lastTag, delivery.tag)
    }
    arrivals.wake()
  }

  /// Waits for a delivery, or for a deadline.
  /// - Returns: false when the deadline came first.
  func waitForDelivery(until deadline: ContinuousClock.Instant) async throws -> Bool {
    try await arrivals.wait(until: deadline)
  }

  /// The row now says what is next for the delivery's review.
  func decided(_ delivery: TicketDelivery) {
    state.withLock { state in
      guard delivery.generation == state.channel.generation else { return }
      state.undecided[delivery.tag] = nil
    }
  }

  /// A delivery was requeued, undecided.
  func gaveBack() { state.withLock { $0.hasGivenBack = true } }

  /// Whether a delivery went back to the queue since this was last asked.
  /// - Parameter channel: the source's, as it is now.
  func takeGivenBack(_ channel: TicketChannel) -> Bool {
    state.withLock { state in
      state.follow(channel)
      defer { state.hasGivenBack = false }
      return state.hasGivenBack
    }
  }

  /// The reviews whose tickets are here, undecided.
  /// - Parameters:
  ///   - position: up to which deliveries have to be known here.
  ///   - channel: the source's, as it is now.
  /// - Returns: nil while a delivery up to there was not received yet, or after one went back to the queue.
  func undecided(upTo position: TicketPosition?, _ channel: TicketChannel) -> [UUID]? {
    let bodies = state.withLock { state -> [[UInt8]]? in
      state.follow(channel)
      guard !state.hasGivenBack else { return nil }
      if let position {
        guard state.channel.generation == position.generation, state.lastTag >= position.tag else { return nil }
      }
      return Array(state.undecided.values)
    }
    return bodies?.compactMap { try? Ticket(body: $0).reviewID }
  }
}
