/// A message to publish.
public struct AMQPMessage: Sendable, Hashable {
  /// The body.
  public var body: [UInt8]
  /// The MIME type of the body.
  public var contentType: String?
  /// The application's name for the kind of message.
  public var type: String?
  /// The application's identifier. Give each message its own: a return is matched to its message by it.
  public var messageID: String?
  /// The application's identifier of what the message belongs to.
  public var correlationID: String?
  /// Whether the message outlives a restart of the broker; quorum queues keep it in any case.
  public var isPersistent: Bool
  /// When it was made, in whole seconds since 1970.
  public var timestamp: Int64?
  /// Further headers.
  public var headers: AMQPTable

  /// Creates a message.
  public init(
    body: [UInt8], contentType: String? = nil, type: String? = nil, messageID: String? = nil,
    correlationID: String? = nil, isPersistent: Bool = true, timestamp: Int64? = nil, headers: AMQPTable = [:]
  ) {
    self.body = body
    self.contentType = contentType
    self.type = type
    self.messageID = messageID
    self.correlationID = correlationID
    self.isPersistent = isPersistent
    self.timestamp = timestamp
    self.headers = headers
  }
}

/// A message and where to publish it.
public struct AMQPPublication: Sendable, Hashable {
  /// The message.
  public var message: AMQPMessage
  /// The exchange; the empty name is the default exchange, which routes to the queue named by the routing key.
  public var exchange: String
  /// The routing key.
  public var routingKey: String
  /// Whether a message that no queue takes comes back as `.returned`; otherwise it is confirmed and gone.
  public var isMandatory: Bool

  /// Creates a publication.
  public init(_ message: AMQPMessage, exchange: String, routingKey: String, isMandatory: Bool = true) {
    self.message = message
    self.exchange = exchange
    self.routingKey = routingKey
    self.isMandatory = isMandatory
  }
}

/// The outcome of a publish.
public enum AMQPPublishOutcome: Sendable, Hashable {
  /// The broker has taken responsibility: every queue that the message was routed to has it, on disk if it is
  /// persistent.
  case confirmed
  /// The broker refused it: a queue is full (`reject-publish`) or failed. The message is in none, or in some of several
  /// queues.
  case nacked
  /// No queue took it: the exchange has no matching binding.
  case returned(code: Int, text: String)
  /// It was written, and no answer came: it may or may not be in the queue. To publish it again may make a duplicate.
  case unknown(String)
  /// It was provably never written to the connection.
  case notSent(String)
}
