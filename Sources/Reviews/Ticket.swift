package import FoundationEssentials
package import Primitives

/// The message on the work queue: it says only which review and attempt may be ready; the row decides.
///
/// Body: `{"version":1,"reviewId":"<uuid>","attempt":1,"claimedAt":"<RFC 3339>"}`. Unknown fields are ignored.
package struct Ticket: Sendable, Hashable {
  package var reviewID: UUID
  package var attempt: Int
  package var claimedAt: Timestamp

  /// The version of the body that this program writes, and the only one that it reads.
  package static let version = 1

  package init(reviewID: UUID, attempt: Int, claimedAt: Timestamp) {
    self.reviewID = reviewID
    self.attempt = attempt
    self.claimedAt = claimedAt
  }

  /// The JSON body.
  package var body: [UInt8] {
    Array(
      #"{"version":\#(Self.version),"reviewId":"\#(reviewID.lowercase)","attempt":\#(attempt),"claimedAt":"\#(claimedAt)"}"#
        .utf8)
  }

  /// Why a body is not a ticket: poison.
  package struct Fault: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String
  }

  private struct Wire: Decodable {
    var version: Int
    var reviewId: UUID
    var attempt: Int
    var claimedAt: Timestamp
  }

  private struct Version: Decodable {
    var version: Int
  }

  /// The longest body that is looked at, in bytes; a ticket has about 130.
  package static let bodyByteCountMax = 16_384

  /// Reads a body.
  /// - Throws: ``Fault``, whose text holds nothing of the body.
  package init(body: [UInt8]) throws(Fault) {
    if let ticket = Ticket(ownForm: body) {
      self = ticket
      return
    }
    guard body.count <= Self.bodyByteCountMax else { throw Fault(description: "the body has \(body.count) bytes") }
    guard let version = try? JSONCoding.decode(Version.self, from: body).version else {
      throw Fault(description: "the body is not a JSON object with a version")
    }
    guard version == Self.version else { throw Fault(description: "version \(version) is not known here") }
    // No row has an attempt that Postgres's `int` cannot hold.
    guard let wire = try? JSONCoding.decode(Wire.self, from: body), (1...Int(Int32.max)).contains(wire.attempt) else {
      throw Fault(description: "reviewId, attempt or claimedAt is missing or malformed")
    }
    self.init(reviewID: wire.reviewId, attempt: wire.attempt, claimedAt: wire.claimedAt)
  }

  /// Reads exactly the form that ``body`` writes, without a JSON parser: nearly every message has it.
  private init?(ownForm body: [UInt8]) {
    let head = Array(#"{"version":1,"reviewId":""#.utf8)
    let middle = Array(#"","attempt":"#.utf8)
    let tail = Array(#","claimedAt":""#.utf8)
    guard body.count < 160, body.starts(with: head) else { return nil }
    let idEnd = head.count + 36
    guard body.count > idEnd + middle.count, body[idEnd...].starts(with: middle),
      let id = body[head.count..<idEnd].withUnsafeBufferPointer({ UUID(text: $0) })
    else { return nil }
    var position = idEnd + middle.count
    var attempt = 0
    while position < body.count, (48...57).contains(body[position]), attempt < 1_000_000 {
      attempt = attempt * 10 + Int(body[position] - 48)
      position += 1
    }
    guard attempt >= 1, body[position...].starts(with: tail) else { return nil }
    position += tail.count
    let end = body.count - 2
    guard position < end, body[end] == UInt8(ascii: "\""), body[end + 1] == UInt8(ascii: "}"),
      let claimedAt = Timestamp(String(decoding: body[position..<end], as: UTF8.self))
    else { return nil }
    self.init(reviewID: id, attempt: attempt, claimedAt: claimedAt)
  }
}
