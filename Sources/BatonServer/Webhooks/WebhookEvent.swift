internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Primitives
internal import ReviewStore
internal import Reviews

/// What a webhook says, whichever platform it came from.
enum WebhookEvent: Sendable, Equatable {
  /// Of no interest, and why.
  case ignored(String)
  case closed(PullRequestKey, updatedAt: Timestamp)
  /// - Parameter repositoryID: as `selected_repository_ids` names it.
  case pushed(PullRequestPush, repositoryID: String?, isDraft: Bool)

  /// Reads a payload.
  /// - Parameters:
  ///   - name: the platform's name of the event.
  ///   - owner: of the integration.
  /// - Throws: `HTTPFault`: 400 for what is no JSON object, 422 naming every faulty field.
  init(
    _ platform: Platform, _ name: String, payload: Data, owner: Owner, integrationID: UUID
  ) throws(HTTPFault) {
    switch platform {
    case .github:
      self = try GitHubPayload(json: payload).event(name, owner: owner, integrationID: integrationID)
    case .gitlab:
      self = try GitLabPayload(json: payload).event(owner: owner, integrationID: integrationID)
    }
  }

  /// What is to be done about it, as its owner is configured now.
  func verdict(for stored: StoredDelivery) -> DeliveryVerdict {
    if stored.isRevoked { return .ignored("the integration was revoked") }
    switch self {
    case .ignored(let reason): return .ignored(reason)
    case .closed(let pullRequest, let updatedAt): return .closed(pullRequest, updatedAt: updatedAt)
    case .pushed(let push, let repositoryID, let isDraft):
      if isDraft { return .ignored("the pull request is a draft") }
      guard let text = stored.configuration else { return .ignored("reviews are not enabled for \(stored.owner)") }
      // One that is faulty lets the review in: it fails as config_invalid, where its owner sees it.
      if let configuration = try? ReviewConfiguration(json: text), configuration.repositorySelection == .selected,
        !configuration.selectedRepositoryIDs.contains(repositoryID ?? "")
      {
        return .ignored("this repository is not selected for reviews")
      }
      return .pushed(push)
    }
  }
}

extension StoredDelivery {
  /// What a stored delivery means.
  func verdict() throws(HTTPFault) -> DeliveryVerdict {
    try WebhookEvent(platform, event, payload: Data(payload.utf8), owner: owner, integrationID: integrationID)
      .verdict(for: self)
  }
}

// MARK: Reading payloads

/// An object of a payload that may be missing or something else: then its fields count as missing, each with its own name.
struct Part<Fields: Decodable & Sendable>: Decodable, Sendable {
  var fields: Fields?

  init(from decoder: any Decoder) throws { fields = try? Fields(from: decoder) }
}

/// The fields of a pull request, taken out of a payload, before they are checked.
struct PullRequestFields {
  /// Where each stands in the payload, by the name of ``NewReview``'s JSON.
  var names: [String: String]
  var values: [String: JSONValue] = [:]
  var updatedAt: (name: String, value: JSONValue?)
  var previousSha: String?

  /// Checks them, and names all faults by the payload's own names.
  ///
  /// A name that `OutsideName` refuses is no fault of the sender, which reports what a person has called a branch: the event is ignored, with the
  /// reason. Platforms switch a hook off after some answers that say no.
  func push(
    owner: Owner, platform: Platform, integrationID: UUID, repositoryID: String?, isDraft: Bool
  ) throws(HTTPFault) -> WebhookEvent {
    var values = values
    values["owner"] = .object(["type": .string(owner.type.rawValue), "id": .string(owner.id)])
    values["platform"] = .string(platform.rawValue)
    values["platformIntegrationId"] = .string(integrationID.uuidString)
    let updatedAt = time
    var faults = updatedAt == nil ? ["\(self.updatedAt.name): expected an RFC 3339 time"] : []
    do {
      let review = try NewReview(json: .object(values))
      if let updatedAt {
        let push = PullRequestPush(review: review, updatedAt: updatedAt, previousSha: previousSha?.lowercased())
        return .pushed(push, repositoryID: repositoryID, isDraft: isDraft)
      }
    } catch {
      if error.isNameRefused && faults.isEmpty {
        return .ignored("a name is refused: \(error.faults.map(renamed).joined(separator: "; "))")
      }
      faults = error.faults.map(renamed) + faults
    }
    throw Self.fault(faults)
  }

  /// The pull request alone, for an event that needs no more.
  func key(owner: Owner, platform: Platform) throws(HTTPFault) -> (PullRequestKey, updatedAt: Timestamp) {
    var faults: [String] = []
    if values["repoFullName"]?.string?.isEmpty != false { faults.append(renamed("repoFullName: expected a name")) }
    var number: Int?
    if case .integer(let value)? = values["prNumber"], let small = Int32(exactly: value), small > 0 {
      number = Int(small)
    } else {
      faults.append(renamed("prNumber: expected a whole number above 0"))
    }
    if time == nil { faults.append("\(updatedAt.name): expected an RFC 3339 time") }
    guard faults.isEmpty, let name = values["repoFullName"]?.string, let number, let time else {
      throw Self.fault(faults)
    }
    return (PullRequestKey(owner: owner, platform: platform, repoFullName: name, prNumber: number), time)
  }

  /// GitLab also writes `2017-09-15 16:50:55 UTC`.
  private var time: Timestamp? {
    updatedAt.value?.string.flatMap { text in
      Timestamp(text.hasSuffix(" UTC") ? text.dropLast(4) + "Z" : text)
    }
  }

  private func renamed(_ fault: String) -> String {
    guard let colon = fault.firstIndex(of: ":"), let name = names[String(fault[..<colon])] else { return fault }
    return name + fault[colon...]
  }

  private static func fault(_ faults: [String]) -> HTTPFault {
    HTTPFault(
      .unprocessableContent, "not a pull request's event: \(faults.joined(separator: "; "))", faults: faults)
  }
}

extension JSONValue {
  var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// A number or a text, as `selected_repository_ids` has both.
  var idText: String? {
    switch self {
    case .integer(let number): String(number)
    case .string(let text): text
    default: nil
    }
  }
}
