package import AMQPClient
package import FoundationEssentials
package import Primitives
internal import Reviews

/// A message on the dead-letter queue, made readable.
package struct DeadLetter: Sendable, Codable, Equatable {
  /// Of the oldest so many letters a single one is looked for: a look takes them from the queue for a moment.
  package static let lookMax = 1_000
  /// Bytes of dead letters that one look takes into memory: messages of any size may be among them.
  static let lookByteMax = 8 << 20

  /// Why it is there: Baton's own reason, or `delivery_limit`.
  package var reason: String
  package var messageId: String?
  /// When it died, as the broker or the publisher of the dead letter says.
  package var diedAt: Timestamp?
  /// nil if the body is not a ticket.
  package var reviewId: UUID?
  package var attempt: Int?
  /// The body, at most 2,000 bytes of it, with anything that is not UTF-8 replaced.
  package var body: String
  /// How often it has come back to the queue since it died, because a process looked at it.
  package var returns: Int

  /// Whether the broker gave up delivering it; otherwise ``reason`` is what Baton found wrong with it.
  package var isOverDeliveryLimit: Bool { reason == Self.deliveryLimit }

  /// The header in which the broker says why a message died.
  static let brokersReasonHeader = "x-first-death-reason"
  /// As the broker says it there.
  static let deliveryLimit = "delivery_limit"

  package init(_ delivery: AMQPDelivery) {
    reason =
      delivery.headers[ReviewTopology.deadReasonHeader]?.stringValue
      ?? delivery.headers[Self.brokersReasonHeader]?.stringValue ?? "unknown"
    messageId = delivery.correlationID ?? delivery.messageID
    let ticket = try? Ticket(body: delivery.body)
    reviewId = ticket?.reviewID
    attempt = ticket?.attempt
    body = String(decoding: delivery.body.prefix(2_000), as: UTF8.self)
    returns = delivery.deliveryCount
    diedAt =
      Self.deathTime(delivery.headers["x-death"])
      ?? delivery.timestamp.flatMap(Self.time)
  }

  /// Messages of the dead-letter queue, those of an unknown time first, then the oldest death: after a look at more than nine
  /// the queue has them in another order.
  package static func letters(_ deliveries: [AMQPDelivery]) -> [DeadLetter] {
    deliveries.map { DeadLetter($0) }.enumerated().sorted {
      ($0.element.diedAt?.microseconds ?? 0, $0.offset) < ($1.element.diedAt?.microseconds ?? 0, $1.offset)
    }.map(\.element)
  }

  /// The same of messages that a queue without a server holds.
  package static func letters(_ deliveries: [TicketDelivery]) -> [DeadLetter] { letters(deliveries.map(\.message)) }

  private static func deathTime(_ header: AMQPValue?) -> Timestamp? {
    guard case .array(let deaths)? = header, case .table(let death)? = deaths.first,
      case .timestamp(let seconds)? = death["time"]
    else { return nil }
    return time(seconds)
  }

  /// Seconds since 1970; nil if the value, which any publisher can set, is outside of the calendar.
  private static func time(_ seconds: Int64) -> Timestamp? {
    (0...yearMax).contains(seconds) ? Timestamp(microseconds: seconds * 1_000_000) : nil
  }

  /// The last second of the year 9999.
  private static let yearMax: Int64 = 253_402_300_799
}
