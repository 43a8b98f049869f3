import FoundationEssentials
import Primitives
import Reviews
import Testing

@Suite("Ticket")
struct TicketTests {
  private let id = UUID(uuidString: "0B9D4A52-8C1E-4F4E-9C55-0D1E2F3A4B5C")!

  @Test("the body is the contract's, and reads back as the same ticket")
  func roundTrip() throws {
    let ticket = Ticket(reviewID: id, attempt: 12, claimedAt: Timestamp(microseconds: 1_764_000_000_000_123))
    #expect(
      String(decoding: ticket.body, as: UTF8.self)
        == #"{"version":1,"reviewId":"0b9d4a52-8c1e-4f4e-9c55-0d1e2f3a4b5c","attempt":12,"claimedAt":"2025-11-24T16:00:00.000123Z"}"#
    )
    #expect(try Ticket(body: ticket.body) == ticket)
  }

  @Test("other spacing, order and unknown fields are read too")
  func otherForms() throws {
    let body =
      #"{ "claimedAt": "2025-11-24T17:00:00+01:00", "attempt": 1, "extra": [1], "version": 1, "reviewId": "\#(id)" }"#
    let ticket = try Ticket(body: Array(body.utf8))
    #expect(ticket.reviewID == id)
    #expect(ticket.claimedAt == Timestamp("2025-11-24T16:00:00Z"))
  }

  @Test(
    "what is not a ticket is refused, with a reason that holds nothing of it",
    arguments: [
      "", "null", "[]", "not json", #"{"version":2}"#, #"{"version":"1"}"#, #"{"version":1}"#,
      #"{"version":1,"reviewId":"x","attempt":1,"claimedAt":"2025-11-24T16:00:00Z"}"#,
      #"{"version":1,"reviewId":"0b9d4a52-8c1e-4f4e-9c55-0d1e2f3a4b5c","attempt":0,"claimedAt":"2025-11-24T16:00:00Z"}"#,
      #"{"version":1,"reviewId":"0b9d4a52-8c1e-4f4e-9c55-0d1e2f3a4b5c","attempt":1,"claimedAt":"yesterday"}"#,
      String(repeating: "ghp_secret", count: 10_000),
    ])
  func poison(body: String) {
    do {
      let ticket = try Ticket(body: Array(body.utf8))
      Issue.record("read as \(ticket)")
    } catch {
      #expect(!error.description.isEmpty)
      #expect(!error.description.contains("ghp_secret"))
    }
  }

  @Test("a cut body is refused; one with another byte is refused too, or differs only in the field of that byte")
  func changed() throws {
    let ticket = Ticket(reviewID: id, attempt: 3, claimedAt: Timestamp(microseconds: 1))
    let text = String(decoding: ticket.body, as: UTF8.self)
    func positions(_ value: String) throws -> Range<Int> {
      let range = try #require(text.firstRange(of: value))
      return text.utf8.distance(
        from: text.startIndex, to: range.lowerBound)..<text.utf8.distance(
          from: text.startIndex, to: range.upperBound)
    }
    let ofID = try positions(id.lowercase)
    let ofAttempt = try positions("3,")
    let ofTime = try positions("\(ticket.claimedAt)")
    for position in ticket.body.indices {
      #expect(throws: Ticket.Fault.self) { try Ticket(body: Array(ticket.body.prefix(position))) }
      for byte in [UInt8(0), 34, 48, 57, 97, 123, 255] {
        var body = ticket.body
        body[position] = byte
        guard let read = try? Ticket(body: body) else { continue }
        var expected = ticket
        if ofID.contains(position) { expected.reviewID = read.reviewID }
        if ofAttempt.contains(position) { expected.attempt = read.attempt }
        if ofTime.contains(position) { expected.claimedAt = read.claimedAt }
        #expect(read == expected, "byte \(byte) at \(position)")
      }
    }
  }
}
