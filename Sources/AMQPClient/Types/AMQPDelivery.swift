/// A message received, and what is needed to settle it.
public struct AMQPDelivery: Sendable, Hashable {
  /// The body.
  public var body: [UInt8]
  /// The delivery tag: counts up from 1 on every channel.
  public var tag: UInt64
  /// Which of the consumer's channels it came through. After a reconnect the broker delivers it again, under a new tag,
  /// and the old one is refused.
  public var generation: UInt64
  /// Whether the broker has delivered it before, to anyone.
  public var isRedelivered: Bool
  /// The publisher's message id.
  public var messageID: String?
  /// The publisher's name for the kind of message.
  public var type: String?
  /// The publisher's correlation id.
  public var correlationID: String?
  /// The MIME type of the body.
  public var contentType: String?
  /// When the publisher made it, in whole seconds since 1970.
  public var timestamp: Int64?
  /// The headers, the broker's `x-…` among them.
  public var headers: AMQPTable
  /// The exchange that it was published to.
  public var exchange: String
  /// The routing key that it was published with.
  public var routingKey: String

  /// Creates a delivery; outside of tests the client makes them.
  public init(
    body: [UInt8], tag: UInt64 = 1, generation: UInt64 = 1, isRedelivered: Bool = false, messageID: String? = nil,
    type: String? = nil, correlationID: String? = nil, contentType: String? = nil, timestamp: Int64? = nil,
    headers: AMQPTable = [:], exchange: String = "", routingKey: String = ""
  ) {
    self.body = body
    self.tag = tag
    self.generation = generation
    self.isRedelivered = isRedelivered
    self.messageID = messageID
    self.type = type
    self.correlationID = correlationID
    self.contentType = contentType
    self.timestamp = timestamp
    self.headers = headers
    self.exchange = exchange
    self.routingKey = routingKey
  }

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
