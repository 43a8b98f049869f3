package import AMQPClient
package import Primitives
internal import Reviews

/// How a message goes to the dead letters: as complete as the broker takes it.
package enum DeadLetterForm: CaseIterable {
  /// With its headers and its body.
  case whole
  /// Without its headers, whose size is noted.
  case withoutHeaders
  /// Without its headers and with the beginning of its body.
  case shortened

  /// With more bytes a reason is cut: it has to fit into the smallest frame that a broker may ask for (4,096 bytes), next to the properties.
  private static let reasonByteMax = 1_000
  private static let bodyByteMax = 65_536
  private static let nameByteMax = 255

  /// The message as it is published.
  /// - Parameters:
  ///   - delivery: what cannot be worked on.
  ///   - reason: shown with it.
  ///   - queue: from which it was delivered.
  ///   - id: of the new message.
  ///   - time: of this machine: the broker records a time only for messages that it has rejected itself.
  package func publication(
    of delivery: AMQPDelivery, reason: String, queue: String, id: String, at time: Timestamp
  ) -> AMQPPublication {
    AMQPPublication(
      message(of: delivery, reason: reason, id: id, at: time), exchange: ReviewTopology.deadExchange, routingKey: queue)
  }

  func message(of delivery: AMQPDelivery, reason: String, id: String, at time: Timestamp) -> AMQPMessage {
    AMQPMessage(
      body: self == .shortened ? Array(delivery.body.prefix(Self.bodyByteMax)) : delivery.body,
      contentType: delivery.contentType?.prefix(utf8: Self.nameByteMax),
      type: delivery.type?.prefix(utf8: Self.nameByteMax), messageID: id,
      // Bytes that are not UTF-8 were repaired, which has made it longer.
      correlationID: delivery.messageID?.prefix(utf8: Self.nameByteMax),
      timestamp: time.microseconds / 1_000_000, headers: headers(of: delivery, reason: reason))
  }

  private func headers(of delivery: AMQPDelivery, reason: String) -> AMQPTable {
    let own = delivery.headers.filter { !$0.key.hasPrefix("x-") }
    var headers = self == .whole ? own : [:]
    headers[ReviewTopology.deadHeader] = "yes"
    headers[ReviewTopology.deadReasonHeader] = .string(reason.prefix(utf8: Self.reasonByteMax))
    if self != .whole { headers[ReviewTopology.deadHeaderBytesHeader] = .int(Int64(own.encodedByteCount)) }
    if self == .shortened { headers[ReviewTopology.deadBodyBytesHeader] = .int(Int64(delivery.body.count)) }
    return headers
  }
}

extension String {
  /// The longest beginning that takes at most so many bytes.
  fileprivate func prefix(utf8 byteMax: Int) -> String {
    guard utf8.count > byteMax else { return self }
    var end = utf8.index(utf8.startIndex, offsetBy: byteMax)
    while end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
    return String(self[..<end])
  }
}
