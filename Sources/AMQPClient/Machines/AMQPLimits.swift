/// What the protocol cannot carry, found before a frame is begun: half a message on the wire would end the connection.
enum AMQPLimits {
  /// A name, a key or an id is a "short string", with one byte for its length.
  static let nameByteMax = 255
  /// Headers travel in one frame, and the frame is 131,072 bytes by default.
  static let headersByteMax = 65_536

  /// The largest frame that this client agrees to; the broker may want smaller ones.
  static let frameByteMax = 131_072
  /// Of the frame with a message's properties: its head and end, and what comes before the properties.
  private static let frameOverhead = 8 + 12

  /// Says why a message cannot be published, or nil.
  /// - Parameter frameByteMax: as agreed with the broker: the properties with the headers travel in one frame.
  static func fault(
    of publication: AMQPPublication, bodyByteMax: Int, frameByteMax: Int = frameByteMax
  ) -> String? {
    let message = publication.message
    if message.body.count > bodyByteMax {
      return "the body of \(message.body.count) bytes is larger than \(bodyByteMax) bytes, which is the limit"
    }
    if let what = tooLongName(of: publication) { return "the \(what) is longer than \(nameByteMax) bytes" }
    guard hasEncodableKeys(message.headers) else { return "a header's name is longer than 255 bytes" }
    let byteCount = byteCount(of: message.headers)
    if byteCount > headersByteMax { return "the headers take \(byteCount) bytes; the limit is \(headersByteMax)" }
    return fault(ofPropertiesOf: message, frameByteMax: frameByteMax)
  }

  private static func tooLongName(of publication: AMQPPublication) -> String? {
    func isTooLong(_ name: String?) -> Bool { name.map { $0.utf8.count > nameByteMax } ?? false }
    let message = publication.message
    if isTooLong(publication.exchange) { return "exchange" }
    if isTooLong(publication.routingKey) { return "routing key" }
    if isTooLong(message.contentType) { return "content type" }
    if isTooLong(message.type) { return "type" }
    if isTooLong(message.messageID) { return "message id" }
    return isTooLong(message.correlationID) ? "correlation id" : nil
  }

  /// Says why a message's properties do not fit into a frame, or nil.
  static func fault(ofPropertiesOf message: AMQPMessage, frameByteMax: Int) -> String? {
    func byteCount(_ name: String?) -> Int { name.map { 1 + $0.utf8.count } ?? 0 }
    // The flags, the delivery mode, the time, the names, and the headers.
    let byteCount =
      2 + 1 + (message.timestamp == nil ? 0 : 8) + byteCount(message.contentType) + byteCount(message.type)
      + byteCount(message.messageID) + byteCount(message.correlationID)
      + (message.headers.isEmpty ? 0 : self.byteCount(of: message.headers))
    guard byteCount + frameOverhead > frameByteMax else { return nil }
    return "properties and headers take \(byteCount) bytes; a frame of this connection has \(frameByteMax)"
  }

  /// The broker's own limit on a message, if it has closed a channel because of a larger one; its text names the limit last.
  static func messageByteMax(inRefusal error: AMQPError) -> Int? {
    guard error.cause == .messageSize else { return nil }
    return error.text.split { !("0"..."9").contains($0) }.last.flatMap { Int($0) }
  }

  /// Says why something cannot be declared, consumed from or looked at, or nil.
  static func fault(ofName name: String, arguments: AMQPTable = [:]) -> String? {
    if name.utf8.count > nameByteMax { return "the name is longer than \(nameByteMax) bytes" }
    guard hasEncodableKeys(arguments) else { return "an argument's name is longer than 255 bytes" }
    return byteCount(of: arguments) > headersByteMax ? "the arguments take more than \(headersByteMax) bytes" : nil
  }

  /// Whether the name of each field, at every depth, is short enough.
  private static func hasEncodableKeys(_ table: AMQPTable) -> Bool {
    table.allSatisfy { $0.key.utf8.count <= nameByteMax && hasEncodableKeys($0.value) }
  }

  private static func hasEncodableKeys(_ value: AMQPValue) -> Bool {
    switch value {
    case .table(let table): hasEncodableKeys(table)
    case .array(let values): values.allSatisfy { hasEncodableKeys($0) }
    default: true
    }
  }

  /// The bytes of an encoded table.
  static func byteCount(of table: AMQPTable) -> Int {
    table.reduce(4) { $0 + 1 + $1.key.utf8.count + byteCount(of: $1.value) }
  }

  private static func byteCount(of value: AMQPValue) -> Int {
    switch value {
    case .string(let text): 5 + text.utf8.count
    case .bytes(let bytes): 5 + bytes.count
    case .int, .double, .timestamp: 9
    case .bool: 2
    case .null: 1
    case .table(let table): 1 + byteCount(of: table)
    case .array(let values): values.reduce(5) { $0 + byteCount(of: $1) }
    }
  }
}

extension AMQPTable {
  /// The bytes that the table takes in a message.
  public var encodedByteCount: Int { AMQPLimits.byteCount(of: self) }
}
