/// What the protocol cannot carry, found before a frame is begun: half a message on the wire would end the connection.
enum Limits {
  /// A name, a key or an id is a "short string", with one byte for its length.
  static let nameByteMax = 255
  /// Headers travel in one frame, and the frame is 131,072 bytes by default.
  static let headersByteMax = 65_536

  /// Says why a message cannot be published, or nil.
  static func fault(of publication: AMQPPublication, bodyByteMax: Int) -> String? {
    let message = publication.message
    if message.body.count > bodyByteMax {
      return "the body of \(message.body.count) bytes is larger than \(bodyByteMax) bytes (bodyByteMax)"
    }
    let names: [(String, String?)] = [
      ("exchange", publication.exchange), ("routing key", publication.routingKey),
      ("content type", message.contentType), ("type", message.type), ("message id", message.messageID),
      ("correlation id", message.correlationID),
    ]
    for case (let what, let name?) in names where name.utf8.count > nameByteMax {
      return "the \(what) is longer than \(nameByteMax) bytes"
    }
    guard let byteCount = byteCount(of: message.headers) else { return "a header's name is longer than 255 bytes" }
    if byteCount > headersByteMax { return "the headers take \(byteCount) bytes; the limit is \(headersByteMax)" }
    return nil
  }

  /// Says why something cannot be declared, consumed from or looked at, or nil.
  static func fault(ofName name: String, arguments: AMQPTable = [:]) -> String? {
    if name.utf8.count > nameByteMax { return "the name is longer than \(nameByteMax) bytes" }
    guard let byteCount = byteCount(of: arguments) else { return "an argument's name is longer than 255 bytes" }
    return byteCount > headersByteMax ? "the arguments take more than \(headersByteMax) bytes" : nil
  }

  /// The bytes of an encoded table; nil where a key is too long.
  static func byteCount(of table: AMQPTable) -> Int? {
    var total = 4
    for (key, value) in table {
      guard key.utf8.count <= nameByteMax, let count = byteCount(of: value) else { return nil }
      total += 1 + key.utf8.count + count
    }
    return total
  }

  private static func byteCount(of value: AMQPValue) -> Int? {
    switch value {
    case .string(let text): return 5 + text.utf8.count
    case .bytes(let bytes): return 5 + bytes.count
    case .int, .double, .timestamp: return 9
    case .bool: return 2
    case .null: return 1
    case .table(let table): return byteCount(of: table).map { $0 + 1 }
    case .array(let values):
      var total = 5
      for value in values {
        guard let count = byteCount(of: value) else { return nil }
        total += count
      }
      return total
    }
  }
}
