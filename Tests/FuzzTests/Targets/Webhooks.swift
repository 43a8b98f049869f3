import FoundationEssentials
import HTTPKit
import HTTPTypes
import Primitives
import Reviews

@testable import BatonServer
@testable import ReviewStore

/// `PLATFORM EVENT CONFIGURATION`, then the body: read, judged for its sender, stored, and judged once more as it is processed.
func fuzzWebhook(_ bytes: [UInt8]) throws {
  var input = FuzzInput(bytes)
  let words = input.line().split(separator: " ").map { String($0) }
  let event = words.count > 1 ? words[1] : "pull_request"
  let body = input.data
  _ = body.withUnsafeBytes { InstallationScanner.installation(in: $0) }
  let configuration = words.count > 2 ? configurations[words[2]] ?? nil : nil
  if words.first == "gitlab" {
    guard let payload = try? GitLabPayload(json: body) else { return }
    try judge(payload, .gitlab, event, configuration)
  } else {
    guard let payload = try? GitHubPayload(json: body) else { return }
    if let json = try? JSONValue(json: body, repairingText: true) {
      _ = WebhookRoutes.owner(json["installation"]?["account"])
    }
    try judge(payload, .github, event, configuration)
  }
}

private let configurations: [String: String?] = [
  "all": "{}",
  "gated": #"{"gate_threshold":"warning","skip_bots":true,"skip_authors":["dependa*"],"review_drafts":true}"#,
  "selected": #"{"repository_selection":"selected","selected_repository_ids":[7,"8"]}"#,
  "filtered":
    #"{"base_branches":["main","release/**"],"skip_labels":["no-*"],"skip_title_words":["wip","[skip review]"]}"#,
  "paths": #"{"paths":["src/**"],"skip_paths":["**/*.md"]}"#, "faulty": #"{"style":7}"#, "none": nil,
]

private let policy = WebhookPolicy(command: "/review", label: "review me", provisioning: .account)
private let owner = Owner(type: .org, id: "acme")

private func judge(
  _ payload: some WebhookPayload, _ platform: Platform, _ event: String, _ configuration: String?
) throws {
  let integration = UUID(uuid: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16))
  let context = WebhookContext(
    owner: owner, platform: platform, integrationID: integration, receivedAt: Timestamp(microseconds: 1), policy: policy
  )
  let said: WebhookEvent
  do throws(HTTPFault) {
    said = try payload.event(event, in: context)
  } catch {
    try promise(error.status.code == 422 && !error.faults.isEmpty, "an event is refused without a fault: \(error)")
    return
  }
  let stored = StoredWebhook(
    platform: platform, event: event, payload: String(decoding: try JSONCoding.encode(payload), as: UTF8.self),
    integrationID: integration, owner: owner, isRevoked: false, receivedAt: Timestamp(microseconds: 1),
    configuration: configuration, trace: TraceContext(of: integration))
  // What the sender was answered with is what is done.
  let again = try WebhookEvent(event, payload: Data(stored.payload.utf8), in: context)
  try promise(said == again, "what was stored says something else")
  do throws(HTTPFault) {
    _ = try stored.verdict(policy)
  } catch {
    try promise([400, 422].contains(error.status.code), "a stored event fails with \(error)")
  }
}
