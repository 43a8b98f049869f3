import FoundationEssentials
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Both ledgers do the same, whatever the order of the steps", .serialized, SharedDatabaseTrait())
struct RandomStepTests {
  /// Steps of one run.
  private static let stepCount = 120

  @Test("random steps have the same answers and leave the same reviews", arguments: 0..<UInt64(12))
  func sameAnswers(_ run: UInt64) async throws {
    let seed = SeededGenerator.seed() &+ run
    var memory = RandomSteps(try await Play(InMemoryWorld()), seed)
    var postgres = RandomSteps(try await Play(SharedDatabaseTrait.world()), seed)
    let (expected, actual) = (try await memory.run(Self.stepCount), try await postgres.run(Self.stepCount))
    let steps = zip(expected, actual)
    guard let step = steps.enumerated().first(where: { $0.element.0 != $0.element.1 })?.offset else { return }
    let before = expected[..<step].suffix(8).joined(separator: "\n")
    Issue.record(
      "BATON_TEST_SEED=\(seed), step \(step): in memory \(expected[step]), in Postgres \(actual[step]), before it:\n\(before)"
    )
  }
}

/// Random steps with one ledger. The same seed makes the same steps as long as the answers are the same.
private struct RandomSteps {
  private let play: Play
  private var generator: SeededGenerator
  private var ids: [UUID] = []
  private var claims: [Claim] = []
  private var leases: [Lease] = []
  private var silent: [SilentReview] = []

  init(_ play: Play, _ seed: UInt64) {
    self.play = play
    generator = SeededGenerator(seed: seed)
  }

  /// - Returns: what each step was answered, with the review that it was about.
  mutating func run(_ count: Int) async throws -> [String] {
    var log: [String] = []
    for _ in 0..<count { log.append(try await step()) }
    for id in ids { log.append(try await row(id)) }
    log.append("cancels due: \(try await play.ledger.outboxCount())")
    return log
  }

  private mutating func step() async throws -> String {
    switch Int.random(in: 0..<10, using: &generator) {
    case 0...1: try await beginStep()
    case 2...5: try await consumerStep()
    case 6: try await workerStep()
    case 7: try await personStep()
    case 8: try await reaperStep()
    default: try await timeStep()
    }
  }

  private mutating func beginStep() async throws -> String {
    let owner = Owner.org(["a", "b", "c"][Int.random(in: 0..<3, using: &generator)])
    switch Int.random(in: 0..<5, using: &generator) {
    case 0...1:
      ids.append(try await play.submit(owner, priority: Int.random(in: 0...2, using: &generator)))
      return "submit"
    case 2...3:
      let claimed = try await play.claim(ownerLimit: 3)
      claims += claimed.sorted { index($0.reviewID) < index($1.reviewID) }
      return "claim \(claimed.map { index($0.reviewID) }.sorted())"
    default:
      let isPaused = Bool.random(using: &generator)
      return "pause \(isPaused): \(try await play.ledger.setPaused(isPaused, owner))"
    }
  }

  private mutating func consumerStep() async throws -> String {
    guard let claim = claims.randomElement(using: &generator) else { return "no claim" }
    let holder = Bool.random(using: &generator) ? play.consumer : play.other
    switch Int.random(in: 0..<6, using: &generator) {
    case 0:
      try await play.publish([claim])
      return try await answer("publish", claim.reviewID)
    case 1:
      try await play.unclaim([claim])
      return try await answer("unclaim", claim.reviewID)
    case 2...4:
      let verdict = try await play.lease([claim], by: holder, failureMax: 3)[0]
      if case .leased(let review) = verdict {
        leases.append(Lease(claim.ticket, holder: holder.id, until: review.leasedUntil.shifted(by: play.world.shift)))
        return try await answer("lease, unclear starts \(review.unclearStarts)", claim.reviewID)
      }
      return try await answer("lease: \(verdict.word)", claim.reviewID)
    default:
      let answer = try await play.record(claim.reviewID, attempt: claim.attempt, by: holder)
      return try await self.answer("record: \(answer)", claim.reviewID)
    }
  }

  private mutating func workerStep() async throws -> String {
    guard let lease = leases.randomElement(using: &generator) else { return "no lease" }
    let delay = Duration.seconds([0, 60][Int.random(in: 0..<2, using: &generator)])
    let status: ReviewStatus?
    switch Int.random(in: 0..<6, using: &generator) {
    case 0: status = try await play.postpone(lease, for: delay)
    case 1: status = try await play.retryLater(lease, after: delay, failureMax: 3)
    case 2: status = try await play.leaveQueued(lease, for: delay, isCounted: true, failureMax: 3)
    case 3: status = try await play.leaveQueued(lease, for: delay, isCounted: false, failureMax: 3)
    case 4: status = try await play.fail(lease)
    default:
      try await play.drop(lease)
      status = nil
    }
    return try await answer("write: \(status?.rawValue ?? "-")", lease.reviewID)
  }

  private mutating func personStep() async throws -> String {
    guard let id = ids.randomElement(using: &generator) else { return "no review" }
    switch Int.random(in: 0..<4, using: &generator) {
    case 0: return try await answer("cancel: \(play.ledger.cancel(id).word)", id)
    case 1: return try await answer("retry: \(play.ledger.retry(id).word)", id)
    default:
      let status = [ReviewStatus.running, .completed, .failed][Int.random(in: 0..<3, using: &generator)]
      let attempt = [nil, 1, 2][Int.random(in: 0..<3, using: &generator)]
      let session = [nil, "s1", "s2"][Int.random(in: 0..<3, using: &generator)]
      return try await answer("report: \(play.report(id, status, attempt: attempt, session: session))", id)
    }
  }

  private mutating func reaperStep() async throws -> String {
    switch Int.random(in: 0..<4, using: &generator) {
    case 0...1:
      let reaped = try await play.reap(failureMax: 3)
      claims += reaped.claims.sorted { index($0.reviewID) < index($1.reviewID) }
      return "reap \(reaped.map { "\(index($0.reviewID)) \($0.result)" }.sorted())"
    case 2:
      let taken = try await play.takeSilent()
      silent += taken.sorted { index($0.reviewID) < index($1.reviewID) }
      return "silent \(taken.map { index($0.reviewID) }.sorted())"
    default:
      guard let review = silent.randomElement(using: &generator) else { return "none silent" }
      let claim = try await play.forgetDispatch(review)
      if let claim { claims.append(claim) }
      let isLost = try await play.failLost(review)
      try await play.recordAsked(review)
      return try await answer("forget: \(claim != nil), lost: \(isLost)", review.reviewID)
    }
  }

  private mutating func timeStep() async throws -> String {
    let seconds = [7, 67, 611, 1_013, 1_511][Int.random(in: 0..<5, using: &generator)]
    switch Int.random(in: 0..<8, using: &generator) {
    case 0: try await play.emptyQueue()
    case 1: try await play.kill([play.consumer, play.other, play.producer][Int.random(in: 0..<3, using: &generator)])
    case 2: for holder in [play.consumer, play.other, play.producer] { try await play.join(holder) }
    default: try await play.pass(.seconds(seconds))
    }
    return "time"
  }

  private func index(_ id: UUID) -> Int { ids.firstIndex(of: id) ?? -1 }

  private func answer(_ answer: String, _ id: UUID) async throws -> String { "\(answer); \(try await row(id))" }

  /// What can be compared of a review.
  private func row(_ id: UUID) async throws -> String {
    let row = try await play.row(id)
    let times = [
      ("claimed", row.claimedAt), ("published", row.publishedAt), ("leased", row.leaseExpiresAt),
      ("prepared", row.preparedAt), ("dispatched", row.dispatchedAt), ("started", row.startedAt),
      ("ended", row.completedAt),
    ].filter { $0.1 != nil }.map(\.0)
    let holder = row.leaseOwner.map { $0 == play.consumer.id.text ? "consumer" : "other" } ?? "-"
    return """
      #\(index(id)) \(row.status.rawValue) \(row.attempt) \(row.statusReason ?? "-") \(row.errorCode ?? "-") \
      \(row.errorMessage ?? "-") \(row.sessionId ?? "-") republished \(row.republishCount) lost \(row.leaseLosses) \
      failures \(row.dispatchFailures) by \(holder) \(times)
      """
  }
}

extension Reaped {
  fileprivate var reviewID: UUID {
    switch self {
    case .republish(let claim, _): claim.reviewID
    case .failed(let id, _, _): id
    }
  }

  fileprivate var result: String {
    switch self {
    case .republish(_, let reason): reason.rawValue
    case .failed: "failed"
    }
  }
}
