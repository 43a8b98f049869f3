/// Puts the frames of one channel's messages together: a method, a header with the size, then bodies up to that size.
///
/// Pure: frames in, a message out when its last frame is there. A frame out of order is the peer's fault and throws.
struct FrameAssembler {
  /// The method that begins a message.
  enum Start: Equatable, Sendable {
    case delivery(tag: UInt64, isRedelivered: Bool, exchange: String, routingKey: String)
    case got(tag: UInt64, isRedelivered: Bool, exchange: String, routingKey: String)
    case returned(code: Int, text: String, exchange: String, routingKey: String)
  }

  /// A complete message.
  struct Content: Equatable, Sendable {
    var start: Start
    var properties: MessageProperties
    var body: [UInt8]
  }

  /// A frame that cannot come at this point.
  struct OutOfOrder: Error, Equatable { let what: String }

  private enum State {
    case idle
    case started(Start)
    case body(Content, byteCount: Int)
  }

  /// RabbitMQ's own limit is 128 MiB, or lower (`max_message_size`).
  static let byteMax = 512 << 20
  /// How much memory is reserved because of a header alone; more is reserved as data arrives.
  private static let reservedByteMax = 1 << 20

  private var state = State.idle

  mutating func method(_ start: Start) throws(OutOfOrder) {
    guard case .idle = state else { throw OutOfOrder(what: "a message began inside another") }
    state = .started(start)
  }

  mutating func header(_ properties: MessageProperties, byteCount: Int) throws(OutOfOrder) -> Content? {
    guard case .started(let start) = state else { throw OutOfOrder(what: "a header without its method") }
    guard (0...Self.byteMax).contains(byteCount) else { throw OutOfOrder(what: "a body of \(byteCount) bytes") }
    let content = Content(start: start, properties: properties, body: [])
    state = byteCount == 0 ? .idle : .body(content, byteCount: byteCount)
    return byteCount == 0 ? content : nil
  }

  mutating func body(_ fragment: [UInt8]) throws(OutOfOrder) -> Content? {
    guard case .body(var content, let byteCount) = state else { throw OutOfOrder(what: "a body without its header") }
    // The copy in the state must go before the append, or every fragment would copy all bytes before it.
    state = .idle
    if content.body.isEmpty && fragment.count == byteCount {
      content.body = fragment
      return content
    }
    if content.body.isEmpty { content.body.reserveCapacity(min(byteCount, Self.reservedByteMax)) }
    content.body.append(contentsOf: fragment)
    guard content.body.count <= byteCount else { throw OutOfOrder(what: "a body longer than its header said") }
    if content.body.count == byteCount { return content }
    state = .body(content, byteCount: byteCount)
    return nil
  }
}

/// A message's properties, as far as the client uses them.
struct MessageProperties: Equatable, Sendable {
  var contentType: String?
  var type: String?
  var messageID: String?
  var correlationID: String?
  var timestamp: Int64?
  var headers: AMQPTable = [:]
}

extension FrameAssembler.Content {
  /// The delivery that this is, or nil for a return.
  func delivery(generation: UInt64) -> AMQPDelivery? {
    switch start {
    case .delivery(let tag, let isRedelivered, let exchange, let routingKey),
      .got(let tag, let isRedelivered, let exchange, let routingKey):
      AMQPDelivery(
        body: body, tag: tag, generation: generation, isRedelivered: isRedelivered,
        messageID: properties.messageID, type: properties.type, correlationID: properties.correlationID,
        contentType: properties.contentType, timestamp: properties.timestamp, headers: properties.headers,
        exchange: exchange, routingKey: routingKey)
    case .returned: nil
    }
  }
}
