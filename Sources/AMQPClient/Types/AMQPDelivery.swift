/// A message received, and what is needed to settle it.
public struct AMQPDelivery: Sendable, Hashable {
  /// What the publisher sent, and where to. An object, because a delivery is copied at each step from the connection to its settlement: to retain
  /// each text and table again and again would cost more than to read it did.
  private final class Content: Sendable, Hashable {
    let message: AMQPMessage
    let exchange: String
    let routingKey: String

    init(_ message: AMQPMessage, _ exchange: String, _ routingKey: String) {
      (self.message, self.exchange, self.routingKey) = (message, exchange, routingKey)
    }

    static func == (left: Content, right: Content) -> Bool {
      left === right
        || (left.message, left.exchange, left.routingKey) == (right.message, right.exchange, right.routingKey)
    }

    func hash(into hasher: inout Hasher) { hasher.combine(message) }
  }

  private let content: Content
  /// The delivery tag: counts up from 1 on every channel.
  public let tag: UInt64
  /// Which of the consumer's channels it came through. After a reconnect the broker delivers it again, under a new tag,
  /// and the old one is refused.
  public let generation: UInt64
  /// Whether the broker has delivered it before, to anyone.
  public let isRedelivered: Bool

  /// Creates a delivery; outside of tests the client makes them.
  public init(
    body: [UInt8], tag: UInt64 = 1, generation: UInt64 = 1, isRedelivered: Bool = false, messageID: String? = nil,
    type: String? = nil, correlationID: String? = nil, contentType: String? = nil, timestamp: Int64? = nil,
    headers: AMQPTable = [:], exchange: String = "", routingKey: String = ""
  ) {
    (self.tag, self.generation, self.isRedelivered) = (tag, generation, isRedelivered)
    content = Content(
      AMQPMessage(
        body: body, contentType: contentType, type: type, messageID: messageID, correlationID: correlationID,
        timestamp: timestamp, headers: headers),
      exchange, routingKey)
  }

  /// The body.
  public var body: [UInt8] { content.message.body }
  /// The publisher's message id.
  public var messageID: String? { content.message.messageID }
  /// The publisher's name for the kind of message.
  public var type: String? { content.message.type }
  /// The publisher's correlation id.
  public var correlationID: String? { content.message.correlationID }
  /// The MIME type of the body.
  public var contentType: String? { content.message.contentType }
  /// When the publisher made it, in whole seconds since 1970.
  public var timestamp: Int64? { content.message.timestamp }
  /// The headers, the broker's `x-…` among them.
  public var headers: AMQPTable { content.message.headers }
  /// The exchange that it was published to.
  public var exchange: String { content.exchange }
  /// The routing key that it was published with.
  public var routingKey: String { content.routingKey }
  /// How often it was delivered and came back unsettled (`x-delivery-count`): 0 at first, and always 0 on classic
  /// queues.
  public var deliveryCount: Int { Int(headers["x-delivery-count"]?.intValue ?? 0) }
}

/// The outcome of an acknowledgement or a rejection.
public enum AMQPSettlement: Sendable, Hashable {
  /// It goes to the broker in this turn of the connection. A connection that breaks before that may lose it, and the
  /// message is then delivered again.
  case sent
  /// Nothing was sent: the channel that it was delivered through is gone (the broker delivers it again), or it was
  /// settled before.
  case stale
}
