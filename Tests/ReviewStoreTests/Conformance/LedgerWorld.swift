import FoundationEssentials
import InMemoryReviewStore
import Primitives
import ReviewStore
import Reviews
import Synchronization

/// A ledger under test, and what no function of the port does: time that passes, and what a person does in psql.
protocol LedgerWorld: Sendable {
  var ledger: any ReviewLedger { get }

  /// By how much the ledger's own times are behind those of the test: it was not moved on, its past was moved away.
  var shift: Duration { get }

  /// Lets time pass. Some holders have sent heartbeats all the time.
  func pass(_ duration: Duration, alive: [Holder.ID]) async throws

  /// Enters a heartbeat of a holder at a time from now, so that the ledger counts as one that answers.
  func setHeartbeat(of holder: Holder.ID, in duration: Duration) async throws

  /// Ends all sessions that a holder has reported, as the end of its process does.
  func endSessions(of holder: Holder.ID) async throws

  /// Gives a pending review another time.
  func schedule(_ id: UUID, at time: Timestamp) async throws

  /// Runs the body while another transaction has locked reviews.
  func whileLocked(_ ids: [UUID], _ body: @Sendable () async throws -> Void) async throws
}

/// A ledger in memory, whose clock stands still between the steps.
final class InMemoryWorld: LedgerWorld {
  private let memory: InMemoryLedger
  private let clock: Clock

  private final class Clock: Sendable {
    private let time = Mutex(Timestamp(microseconds: 1_700_000_000_000_000))
    var now: Timestamp { time.withLock { $0 } }
    func advance(_ duration: Duration) { time.withLock { $0 = $0.shifted(by: duration) } }
  }

  init() {
    let clock = Clock()
    self.clock = clock
    memory = InMemoryLedger(clock: { clock.now })
  }

  var ledger: any ReviewLedger { memory }
  let shift = Duration.zero

  func pass(_ duration: Duration, alive: [Holder.ID]) {
    clock.advance(duration)
    for holder in alive { memory.setHeartbeat(of: holder, to: clock.now) }
  }

  func setHeartbeat(of holder: Holder.ID, in duration: Duration) {
    memory.setHeartbeat(of: holder, to: clock.now.shifted(by: duration))
  }

  func endSessions(of holder: Holder.ID) { memory.cutSessions(of: holder) }

  func schedule(_ id: UUID, at time: Timestamp) { memory.schedule(id, at: time) }

  func whileLocked(_ ids: [UUID], _ body: @Sendable () async throws -> Void) async throws {
    memory.lock(Set(ids))
    defer { memory.unlock() }
    try await body()
  }
}

extension Timestamp {
  func shifted(by duration: Duration) -> Timestamp {
    guard isFinite else { return self }
    // In whole numbers: a claim is recognised by its microsecond.
    let (seconds, attoseconds) = duration.components
    return Timestamp(microseconds: microseconds + seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
  }
}

extension Claim {
  func shifted(by duration: Duration) -> Claim {
    Claim(reviewID: reviewID, attempt: attempt, claimedAt: claimedAt.shifted(by: duration), trace: trace)
  }
}

extension Lease {
  func shifted(by duration: Duration) -> Lease {
    var lease = self
    lease.until = until.shifted(by: duration)
    return lease
  }
}

extension SilentReview {
  func shifted(by duration: Duration) -> SilentReview {
    var review = self
    review.token = token.shifted(by: duration)
    return review
  }
}
