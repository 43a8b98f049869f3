internal import Platforms
internal import ReviewStore
internal import Reviews

/// Prepares as long as the scenario plans.
struct SimulatedPreparer: PayloadPreparer {
  let world: World

  func targets(of review: LeasedReview) -> [String] { [] }

  func prepare(_ review: LeasedReview) async throws(PreparationError) -> PreparedPayload {
    let number = world.number(of: review.id)
    world.recorder.note(.preparing(review: number, attempt: review.attempt))
    do {
      try await world.scheduler.sleep(for: world.planned(number).preparation)
    } catch {
      throw .transient(message: "cancelled", retryAfter: nil)
    }
    if world.planned(number).isHopeless || world.network.chance(world.scenario.worker.preparationFails) {
      world.recorder.note(.answered(review: number, attempt: review.attempt, "not prepared"))
      throw .transient(message: "the platform failed", retryAfter: nil)
    }
    return PreparedPayload(body: [], headSha: review.headSha)
  }
}
