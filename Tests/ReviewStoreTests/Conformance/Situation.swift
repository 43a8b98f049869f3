import FoundationEssentials
import Primitives
import ReviewStore
import Reviews

/// Where a review can stand when a statement meets it.
enum Situation: String, CaseIterable, Sendable {
  case pending, delayed, held, claimed, claimerDead, published, leased, leasedByOther, leaseOver, holderDead, waiting,
    waitOver, dropped, dispatched, running, completed, failed, cancelled, retried, claimedAgain, reaped, lost

  /// The review, and what a producer and a consumer still hold of its first attempt.
  struct Scene: Sendable {
    var id: UUID
    var claim: Claim
    /// The consumer's; made up if it has none.
    var lease: Lease
  }

  func play(_ play: Play) async throws -> Scene {
    let id = try await play.submit()
    let now = try await play.ledger.now().shifted(by: play.world.shift)
    switch self {
    case .pending: break
    case .delayed: try await play.world.schedule(id, at: now.shifted(by: .seconds(3_600)))
    case .held: try await play.world.schedule(id, at: .infinity)
    default: return try await claimed(play)
    }
    let claim = Claim(reviewID: id, attempt: 1, claimedAt: now, trace: .init())
    return Scene(id: id, claim: claim, lease: Lease(claim.ticket, holder: play.consumer.id, until: now))
  }

  private func claimed(_ play: Play) async throws -> Scene {
    let claim = try await play.claim()[0]
    var scene = Scene(
      id: claim.reviewID, claim: claim,
      lease: Lease(claim.ticket, holder: play.consumer.id, until: claim.claimedAt.shifted(by: Play.leaseTime)))
    switch self {
    case .claimed: return scene
    case .claimerDead: try await play.kill(play.producer)
    case .claimedAgain:
      try await play.unclaim([claim])
      _ = try await play.claim()
    default:
      try await play.publish([claim])
      try await published(play, &scene)
    }
    return scene
  }

  private func published(_ play: Play, _ scene: inout Scene) async throws {
    switch self {
    case .published: return
    case .lost: return try await play.emptyQueue()
    case .leasedByOther: _ = try await play.take(scene.claim, by: play.other)
    case .holderDead:
      _ = try await play.take(scene.claim, by: play.other)
      try await play.kill(play.other)
    default:
      scene.lease = try await play.take(scene.claim)
      try await leased(play, scene)
    }
  }

  private func leased(_ play: Play, _ scene: Scene) async throws {
    switch self {
    case .leaseOver: try await play.pass(Play.leaseTime + .seconds(1))
    case .waiting: _ = try await play.leaveQueued(scene.lease, for: .seconds(3_600))
    case .waitOver:
      _ = try await play.leaveQueued(scene.lease, for: .seconds(60))
      try await play.pass(.seconds(61))
    case .dropped: try await play.drop(scene.lease)
    case .dispatched: _ = try await play.record(scene.id)
    case .running: _ = try await play.report(scene.id, .running, session: "s1")
    case .completed: _ = try await play.report(scene.id, .completed, session: "s1")
    case .failed: _ = try await play.fail(scene.lease)
    case .cancelled: _ = try await play.ledger.cancel(scene.id)
    case .retried:
      _ = try await play.report(scene.id, .failed, session: "s1")
      _ = try await play.ledger.retry(scene.id)
    case .reaped:
      try await play.pass(Play.leaseTime + .seconds(1))
      _ = try await play.reap()
    default: break
    }
  }
}
