internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Primitives
internal import ReviewStore
internal import Reviews

/// What the sender of a webhook is answered with.
struct WebhookAnswer: Sendable {
  var status: HTTPResponse.Status
  var body: Body

  struct Body: Encodable, Sendable {
    var outcome: String
    var reason: String?
    var reviewId: String?
    var attempt: Int?
  }

  init(_ receipt: WebhookIntake.Receipt) {
    (status, body) =
      switch receipt {
      case .stored: (.accepted, Body(outcome: "stored", reason: "it is processed in a moment"))
      case .processed(.reviewMadePending(let id, let attempt, _)):
        (.accepted, Body(outcome: "pending", reviewId: id.lowercase, attempt: attempt))
      case .processed(.unchanged(let reason, let id)):
        (.ok, Body(outcome: "unchanged", reason: reason, reviewId: id?.lowercase))
      case .processed(.cancelled(let count)):
        (.ok, Body(outcome: "closed", reason: "\(count) reviews were cancelled"))
      case .processed(.repeated):
        (.ok, Body(outcome: "repeated", reason: "this delivery has come before"))
      }
  }

  var response: Response { .json(status, body) }

  /// Nothing is done for an event, and why.
  static func ignored(_ reason: String) -> Response { WebhookAnswer(.processed(.unchanged(reason, nil))).response }

  static func nothing(for name: String) -> Response { ignored("nothing is done for the event \(name)") }

  /// The reason that a body does not fit the event that its header names.
  static func notOf(_ name: String) -> String { "the body is not that of the event \(name)" }
}
