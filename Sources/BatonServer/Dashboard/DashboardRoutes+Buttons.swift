internal import FoundationEssentials
internal import HTTPKit
internal import Hummingbird
internal import Logging
internal import Primitives
internal import ReviewStore
internal import Reviews

/// The buttons of an owner and of a dead letter.
extension DashboardRoutes {
  @Sendable func pause(_ call: Call, _ subject: String, _ actor: String) async throws
    -> String
  {
    try await set(subject, isPaused: true, call, actor)
    return "\(subject) is paused; what is queued goes on."
  }

  @Sendable func resume(_ call: Call, _ subject: String, _ actor: String) async throws
    -> String
  {
    try await set(subject, isPaused: false, call, actor)
    return "\(subject) is resumed."
  }

  private func set(_ subject: String, isPaused: Bool, _ call: Call, _ actor: String) async throws {
    guard let owner = Owner(subject) else { throw HTTPFault(.notFound, "there is no such owner") }
    try await administration.setPaused(
      isPaused, owner, by: Administration.Operator(actor: actor, logger: call.logger))
  }

  @Sendable func deleteDeadLetter(_ call: Call, _ subject: String, _ actor: String) async throws -> String {
    let isDeleted: Bool
    do {
      isDeleted = try await reader.letters.delete(subject)
    } catch {
      throw HTTPFault.unavailable("The broker cannot be reached: the dead letter may still be there")
    }
    guard isDeleted else { throw HTTPFault(.notFound, "this dead letter is not there any more") }
    log("a dead letter was deleted", call, ["actor": "\(actor)", "message": "\(subject)"])
    return "Deleted; its review stays as it is."
  }
}
