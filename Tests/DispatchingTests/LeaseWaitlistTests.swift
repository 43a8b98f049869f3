import FoundationEssentials
import InMemoryReviewStore
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@testable import Dispatching

@Suite("Tickets that wait for their lease", .timeLimit(.minutes(2)))
struct LeaseWaitlistTests {
  private struct Locked: LedgerFault {
    var faultKind: LedgerFaultKind { .busy }
    var mayBeAboutOneRow: Bool { true }
    var description: String { "lock_not_available" }
  }

  @Test("one whose lock has held up a batch is looked at alone, and holds up neither the others nor those after it")
  func heldUp() async throws {
    let stage = try await Stage()
    let tickets = (0..<6).map { _ in
      Ticket(reviewID: UUID(), attempt: 1, claimedAt: Timestamp(microseconds: 1_800_000_000_000_000))
    }
    // The last two have only met others in their batch that were locked.
    let locked = Mutexed(Set(tickets[2...3].map(\.reviewID)))
    let (looks, decided) = (Mutexed<[[UUID]]>([]), Mutexed<Set<UUID>>([]))
    let waitlist = LeaseWaitlist(
      countMax: 8, ledger: stage.ledger, heartbeatTimeout: stage.policy.heartbeatTimeout,
      lease: { tickets in
        looks.change { $0.append(tickets.map(\.reviewID)) }
        return tickets.map { ticket in
          locked.value.contains(ticket.reviewID)
            ? .failure(RowFault(Locked()))
            : .success(LeaseAnswer(verdict: .dispatched, since: stage.environment.now))
        }
      }, environment: stage.environment, logger: stage.log.logger)
    let waiting = Task(executorPreference: stage.executor) {
      await withDiscardingTaskGroup { group in
        for (index, ticket) in tickets.enumerated() {
          group.addTask {
            let answer = LeaseAnswer(
              verdict: index < 2 ? .leasedElsewhere : .lockedByOther, since: stage.environment.now,
              hasHeldUpBatch: index >= 2)
            guard await waitlist.wait(ticket, answer).verdict == .dispatched else { return }
            decided.change { _ = $0.insert(ticket.reviewID) }
          }
        }
      }
    }
    try await stage.advance(upTo: .seconds(10), until: "all but those that are locked are decided") {
      decided.value.count == 4
    }
    #expect(decided.value.isDisjoint(with: locked.value))
    #expect(looks.value.allSatisfy { $0.count == 1 || locked.value.isDisjoint(with: $0) })
    locked.change { $0 = [] }
    try await stage.advance(upTo: .seconds(10), until: "all are decided") { decided.value.count == 6 }
    await waiting.value
  }

  @Test("tickets that have not had their turn are given up with the others when this process ends")
  func closed() async throws {
    let stage = try await Stage()
    let verdicts = Mutexed<[LeaseVerdict]>([])
    let waitlist = LeaseWaitlist(
      countMax: 8, ledger: stage.ledger, heartbeatTimeout: stage.policy.heartbeatTimeout,
      lease: { $0.map { _ in .failure(RowFault(Locked())) } }, environment: stage.environment, logger: stage.log.logger)
    let waiting = Task(executorPreference: stage.executor) {
      await withDiscardingTaskGroup { group in
        for _ in 0..<4 {
          let ticket = Ticket(
            reviewID: UUID(), attempt: 1, claimedAt: Timestamp(microseconds: 1_800_000_000_000_000))
          let answer = LeaseAnswer(verdict: .lockedByOther, since: stage.environment.now, hasHeldUpBatch: true)
          group.addTask {
            let verdict = await waitlist.wait(ticket, answer).verdict
            verdicts.change { $0.append(verdict) }
          }
        }
      }
    }
    try await stage.advance(by: .seconds(3))
    #expect(verdicts.value.isEmpty)
    await waitlist.close()
    try await stage.advance(upTo: .seconds(3), until: "all are given up") { verdicts.value.count == 4 }
    await waiting.value
  }
}
