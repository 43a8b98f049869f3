package import Primitives
package import Reviews

/// The work queue as a process uses it that publishes or looks: ``AMQPTicketQueue`` at RabbitMQ, `InMemoryTicketQueue` without a server.
///
/// Both pass the same conformance suite (`TicketQueueConformance` among the tests' support), which says exactly what each call does.
package protocol TicketQueue: Sendable {
  /// The work queue's name.
  var name: String { get }
  /// Whether there is a connection that can publish.
  var isConnected: Bool { get }
  /// Whether the broker takes no messages at present, because of a memory or disk alarm.
  var isBlocked: Bool { get }

  /// Publishes a batch; all confirms are in flight together.
  /// - Returns: an outcome for each ticket, in order.
  func publish(_ tickets: [(ticket: Ticket, trace: TraceContext)]) async -> [TicketPublishOutcome]

  /// Publishes a copy of a delivery's ticket, of which the queue counts the deliveries from zero. The caller then rejects the delivery.
  ///
  /// For a ticket that was requeued because of outages: those deliveries are not to add up to the delivery limit, at which the broker takes it
  /// for poison. Two tickets do no harm, as the row decides.
  func republish(_ delivery: TicketDelivery) async -> TicketPublishOutcome

  /// Publishes a message that Baton cannot process to the dead-letter queue, with the reason: as it came, or in a smaller form if the
  /// broker cannot take that.
  func publishDead(_ delivery: TicketDelivery, reason: String) async -> TicketPublishOutcome

  /// How many messages and consumers the work queue has; a deleted queue is declared again.
  func status() async throws -> TicketQueueStatus

  /// How many dead letters there are.
  func deadCount() async throws -> Int

  /// The oldest dead letters, which stay where they are; the look counts as a delivery of each.
  func deadLetters(limit: Int) async throws -> [DeadLetter]
}

/// One consumer's view of the work queue: ``AMQPTicketSubscription`` at RabbitMQ, `InMemoryTicketSubscription` without a server.
///
/// Run ``run()`` concurrently with one reader of ``next()``, and settle each delivery once, from any task. What is unsettled when a channel
/// is lost goes back to the queue and is delivered again.
package protocol TicketSubscription: Sendable {
  /// The most deliveries unsettled at once, unread ones among them.
  var prefetch: Int { get }
  /// Whether there is a connection.
  var isConnected: Bool { get }
  /// The present channel, or the last one.
  var channel: TicketChannel { get }

  /// Connects, subscribes, and does that again whenever the connection is lost, until the task is cancelled: what is unsettled then goes
  /// back to the queue.
  /// - Throws: only if a new connection would fail in the same way.
  func run() async throws

  /// The next delivery.
  /// - Returns: nil at the end, and at once if the task is cancelled and nothing is unread.
  func next() async -> TicketDelivery?

  /// Settles a delivery; the broker is notified within milliseconds.
  /// - Returns: false if that has no effect: its channel is gone, or it was settled before.
  @discardableResult
  func settle(_ delivery: TicketDelivery, _ settlement: TicketSettlement) -> Bool

  /// Takes no more deliveries, and keeps the channel, so that unsettled deliveries can be settled; until ``resume(limit:)``, also across
  /// reconnects. No further delivery comes when this returns.
  func pause() async

  /// As ``pause()``, and ``next()`` ends after what was received by then.
  func end() async

  /// Takes deliveries again, or goes on with another limit. The queue begins with the limit less what is unsettled; each that is settled makes
  /// room for one more, up to the limit.
  /// - Parameter limit: the most unsettled at once; nil for the prefetch.
  func resume(limit: Int?)

  /// Closes the channel and opens another: everything unsettled goes back to the queue. The new channel has the next generation, which its
  /// deliveries carry: those of an older one can no longer be settled.
  func rebuildChannel()

  /// Closes the connection and makes another: everything unsettled goes back to the queue, and the channel's generation grows as in
  /// ``rebuildChannel()``.
  func rebuildConnection()

  /// Messages that are ready for delivery in the work queue.
  /// - Throws: if there is no connection now.
  func readyCount() async throws -> Int

  /// Waits until everything that was sent when this was called can be read with ``next()``, and until everything that was settled before
  /// has been processed.
  /// - Returns: the last delivery by then; nil without a channel.
  /// - Throws: if the channel is lost by then.
  func catchUp() async throws -> TicketPosition?
}

/// The outcome of a publish.
package enum TicketPublishOutcome: Sendable, Hashable {
  /// The queue has it, on disk.
  case confirmed
  /// The queue refused it: it is full, or has failed.
  case nacked
  /// No queue took it: the exchange has no matching binding.
  case returned(code: Int, text: String)
  /// It was sent, and no answer came: it may or may not be in the queue. To publish it again may make a duplicate.
  case unknown(String)
  /// It was provably never sent.
  case notSent(String)
}

/// What the work queue holds.
package struct TicketQueueStatus: Sendable, Hashable {
  /// Messages ready for delivery; those delivered and not settled do not count.
  package var messagesReady: Int
  /// Active consumers.
  package var consumers: Int

  package init(messagesReady: Int, consumers: Int) {
    self.messagesReady = messagesReady
    self.consumers = consumers
  }
}
