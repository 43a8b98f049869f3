internal import FoundationEssentials
internal import HTTPKit
internal import Hummingbird
internal import Primitives
internal import ReviewStore
internal import Reviews

/// Deliveries of GitHub that are signed, and whose installation no integration has.
extension WebhookRoutes {
  /// GitHub reports installations to the app itself, whether or not an integration exists: that is no fault of the sender. Of a pull request's event remains a record
  /// that answers why it was not reviewed.
  func unknown(
    _ installation: Int64?, _ event: String, _ payload: GitHubPayload?, _ body: Data
  ) async throws -> Response {
    guard let installation, let json = try? JSONValue(json: body, repairingText: true) else {
      throw HTTPFault(.notFound, "no integration has this installation")
    }
    if ["installation", "installation_repositories", "installation_target"].contains(event) {
      guard event == "installation", json["action"]?.string == "created", intake.policy.provisioning == .account else {
        return WebhookAnswer.ignored("no integration has this installation")
      }
      let account = json["installation"]?["account"]
      guard let owner = Self.owner(account) else { return WebhookAnswer.ignored("the event names no account") }
      return WebhookAnswer.ignored(
        try await store.provision(installation: installation, for: owner, account: account?["id"]?.repositoryNumber))
    }
    if event == "pull_request" {
      try await store.storeUnknown(
        event: event, digest: WebhookDelivery.digest(of: body), payload: Self.subject(json),
        outcome: "no integration has installation \(installation): add one with baton integration add, then have GitHub"
          + " deliver it again")
    }
    throw HTTPFault(.notFound, "no integration has this installation")
  }

  /// `org:LOGIN` or `user:LOGIN`.
  static func owner(_ account: JSONValue?) -> Owner? {
    guard let login = account?["login"]?.string else { return nil }
    return Owner("\(account?["type"]?.string == "Organization" ? "org" : "user"):\(login)")
  }

  /// What says which pull request it is about, and no more.
  private static func subject(_ json: JSONValue) -> String {
    let pull = json["pull_request"]
    let slim = JSONValue.object([
      "action": json["action"] ?? .null,
      "repository": .object(["full_name": json["repository"]?["full_name"] ?? .null]),
      "pull_request": .object([
        "number": pull?["number"] ?? .null, "head": .object(["sha": pull?["head"]?["sha"] ?? .null]),
      ]),
    ])
    return (try? JSONCoding.encode(slim)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }
}
