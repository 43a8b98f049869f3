import FoundationEssentials
import Primitives
import ReviewQueue
import ReviewStore
import Reviews
import Testing

@testable import Dispatching

/// What a consumer answers to a roll call.
@Suite("Census of tickets")
struct TicketCensusTests {
  private let census = TicketCensus()
  private let first = TicketChannel(generation: 1, isOpen: true)
  private let ids = [UUID(), UUID(), UUID()]

  private func delivery(_ tag: Int, generation: UInt64 = 1) -> TicketDelivery {
    let ticket = Ticket(reviewID: ids[tag - 1], attempt: 1, claimedAt: Timestamp(microseconds: 0))
    return TicketDelivery(body: ticket.body, tag: UInt64(tag), generation: generation)
  }

  private func position(_ tag: Int, generation: UInt64 = 1) -> TicketPosition {
    TicketPosition(generation: generation, tag: UInt64(tag))
  }

  @Test("a consumer that has not connected yet has nothing, and gave nothing back")
  func fresh() {
    let none = TicketChannel(generation: 0, isOpen: false)
    #expect(!census.takeGivenBack(none))
    #expect(census.undecided(upTo: nil, none) == [])
    #expect(!census.takeGivenBack(first), "the first channel")
  }

  @Test("what was received and is not decided is in the answer; before everything was received there is no answer")
  func undecided() {
    #expect(!census.takeGivenBack(first))
    census.received(delivery(1))
    #expect(census.undecided(upTo: position(2), first) == nil)
    census.received(delivery(2))
    #expect(census.undecided(upTo: position(2), first).map(Set.init) == [ids[0], ids[1]])
    census.decided(delivery(1))
    #expect(census.undecided(upTo: position(2), first) == [ids[1]])
    // Its lease was dropped: to be decided once more.
    census.received(delivery(1))
    #expect(census.undecided(upTo: position(2), first).map(Set.init) == [ids[0], ids[1]])
    #expect(!census.takeGivenBack(first))
  }

  @Test("a lost channel, and one that is opened anew, give back what was received")
  func lostChannel() {
    #expect(!census.takeGivenBack(first))
    census.received(delivery(1))
    let lost = TicketChannel(generation: 1, isOpen: false)
    #expect(census.undecided(upTo: nil, lost) == nil, "no answer before the return is noted")
    #expect(census.takeGivenBack(lost))
    #expect(census.undecided(upTo: nil, lost) == [], "without a channel there is nothing")
    // A delivery of the next channel is received before the channel is looked at.
    census.received(delivery(2, generation: 2))
    census.received(delivery(3, generation: 1))
    let second = TicketChannel(generation: 2, isOpen: true)
    #expect(census.takeGivenBack(second))
    #expect(census.undecided(upTo: position(1), second) == nil, "a place of the lost channel")
    #expect(census.undecided(upTo: position(2, generation: 2), second) == [ids[1]])
  }

  @Test("a delivery that is given back is noted once")
  func gaveBack() {
    #expect(!census.takeGivenBack(first))
    census.received(delivery(1))
    census.gaveBack()
    #expect(census.undecided(upTo: position(1), first) == nil)
    #expect(census.takeGivenBack(first))
    #expect(!census.takeGivenBack(first))
    #expect(census.undecided(upTo: position(1), first) == [ids[0]])
  }

  @Test("what was leased is the row's claim, and only if the message is the ticket of that claim")
  func leasedUpTo() throws {
    let inFlight = InFlightAttempts()
    func lease(
      claimedAt row: Int64, message: String, isRedelivered: Bool = false, leasedAt: Int64 = 2_000_000
    ) throws -> Timestamp? {
      let ticket = Ticket(reviewID: UUID(), attempt: 1, claimedAt: try #require(Timestamp(message)))
      let delivery = TicketDelivery(body: ticket.body, isRedelivered: isRedelivered)
      let lease = Lease(ticket, holder: Holder.ID(), until: Timestamp(microseconds: row))
      inFlight.begin(
        ticket, delivery, by: lease, claimedAt: Timestamp(microseconds: row),
        leasedAt: Timestamp(microseconds: leasedAt))
      return inFlight.leasedUpTo
    }
    #expect(try lease(claimedAt: 1_000_000, message: "2099-01-01T00:00:00Z") == nil)
    #expect(try lease(claimedAt: 1_000_000, message: "1970-01-01T00:00:00Z") == nil)
    #expect(try lease(claimedAt: 1_000_000, message: "1970-01-01T00:00:01Z", isRedelivered: true) == nil)
    #expect(try lease(claimedAt: 1_000_000, message: "1970-01-01T00:00:01Z") == Timestamp(microseconds: 1_000_000))
    #expect(try lease(claimedAt: 0, message: "1970-01-01T00:00:00Z") == Timestamp(microseconds: 1_000_000))
    // A server took over whose clock is behind: what the one before has said proves nothing of what is claimed now.
    #expect(try lease(claimedAt: 900_000, message: "1970-01-01T00:00:00.9Z", leasedAt: 800_000) == nil)
    #expect(
      try lease(claimedAt: 600_000, message: "1970-01-01T00:00:00.6Z", leasedAt: 800_000)
        == Timestamp(microseconds: 600_000))
  }

  @Test(
    "a delivery is undecided until its value ends, on every path, and stays so for roll calls unless it was decided")
  func undecidedCount() {
    let inFlight = InFlightAttempts()
    #expect(!census.takeGivenBack(first))
    for tag in 1...3 {
      inFlight.received()
      census.received(delivery(tag))
    }
    #expect(inFlight.undecidedCount == 3 && inFlight.receivedCount == 3)
    do {
      let decided = UndecidedDelivery(delivery(1), inFlight, census)
      let leasedElsewhere = UndecidedDelivery(delivery(2), inFlight, census)
      leasedElsewhere.isLeasedElsewhere()
      #expect(inFlight.undecidedCount == 3, "it waits here")
      #expect(census.undecided(upTo: position(3), first).map(Set.init) == [ids[0], ids[2]])
      decided.decided()
      #expect(inFlight.undecidedCount == 2)
      _ = UndecidedDelivery(delivery(3), inFlight, census)
    }
    #expect(inFlight.undecidedCount == 0)
    #expect(census.undecided(upTo: position(3), first) == [ids[2]], "it ended without a decision")
    do {
      let again = UndecidedDelivery(again: delivery(1), inFlight, census)
      #expect(inFlight.undecidedCount == 1 && inFlight.receivedCount == 3)
      again.decided()
    }
    #expect(inFlight.undecidedCount == 0)
  }
}
