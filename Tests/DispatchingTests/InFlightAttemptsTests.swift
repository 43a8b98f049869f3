import FoundationEssentials
import Primitives
import ReviewQueue
import ReviewStore
import Reviews
import Support
import Testing

@testable import Dispatching

@Suite("Attempts in flight", .timeLimit(.minutes(1)))
struct InFlightAttemptsTests {
  private let inFlight = InFlightAttempts()
  private let ticket = Ticket(reviewID: UUID(), attempt: 1, claimedAt: Timestamp(microseconds: 0))
  private var lease: Lease { Lease(ticket, holder: Holder.ID(), until: Timestamp(microseconds: 1)) }

  private func delivery(_ tag: UInt64) -> TicketDelivery { TicketDelivery(body: ticket.body, tag: tag) }

  @Test("of two deliveries that ask at once, the one without a lease waits for the attempt of the other, and joins it")
  func answersInAnyOrder() async {
    inFlight.asks(ticket)
    inFlight.asks(ticket)
    // The second one's answer is the first to be here: the lease is this process's own.
    inFlight.answered(ticket)
    #expect(!inFlight.adopt(ticket, delivery(2)))
    let isAdopted = Task {
      await inFlight.waitForAnswers(of: ticket)
      return inFlight.adopt(ticket, delivery(2))
    }
    await Task.yield()
    let lease = lease
    inFlight.begin(ticket, delivery(1), by: lease)
    inFlight.answered(ticket)
    #expect(await isAdopted.value)
    #expect(inFlight.end(lease).count == 2)
  }

  @Test("a second attempt of a review waits for the end of the first, and gets its deliveries")
  func oneAfterAnother() async {
    let (first, second) = (lease, Lease(ticket, holder: Holder.ID(), until: Timestamp(microseconds: 2)))
    inFlight.begin(ticket, delivery(1), by: first)
    await inFlight.waitForEarlier(first)
    inFlight.begin(ticket, delivery(2), by: second)
    let ended = Mutexed(false)
    let waiting = Task {
      await inFlight.waitForEarlier(second)
      return ended.value
    }
    for _ in 0..<10 { await Task.yield() }
    ended.change { $0 = true }
    #expect(inFlight.end(first).isEmpty)
    #expect(await waiting.value)
    #expect(inFlight.end(second).count == 2)
  }

  @Test("a delivery whose review no other delivery asks for waits for nothing")
  func noneAsks() async {
    await inFlight.waitForAnswers(of: ticket)
    inFlight.asks(ticket)
    inFlight.answered(ticket)
    await inFlight.waitForAnswers(of: ticket)
    #expect(!inFlight.adopt(ticket, delivery(1)))
  }
}
