internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Platforms
internal import Primitives
internal import ReviewStore
internal import Reviews

/// Whose webhook is read, and when it was received.
struct WebhookContext: Sendable {
  var owner: Owner
  var platform: Platform
  var integrationID: UUID
  /// The host of the integration's GitLab, as ``StoredWebhook/instance``.
  var instance = ""
  /// Stands for the time of an event that names none.
  var receivedAt: Timestamp
  /// Which comments and labels ask for a review.
  var policy = WebhookPolicy()

  /// A repository has got another name.
  func named(_ id: JSONValue?, _ name: JSONValue?, at time: JSONValue?) -> WebhookEvent {
    guard let id = id?.repositoryNumber, let name = name?.string, repositoryNameFault(name) == nil else {
      return .ignored("the repository's number or name cannot be read")
    }
    return .named(
      RepositoryName(
        owner: owner, platform: platform, integrationID: integrationID, instance: platform == .gitlab ? instance : "",
        repositoryID: id, fullName: name, namedAt: LenientTime.read(time) ?? receivedAt))
  }
}

/// What is wrong with a repository's name as the name of a review's; nil if nothing is.
private func repositoryNameFault(_ name: String) -> String? {
  let (count, max) = (name.utf8.count, NewReview.byteCountMax)
  return count > max ? "\(count) bytes, at most \(max) are allowed" : OutsideName.repositoryFault(name)
}

/// The fields of a pull request, taken out of a payload, before they are checked.
struct PullRequestFields {
  /// Where each stands in the payload, by the name of ``NewReview``'s JSON.
  var names: [String: String]
  var values: [String: JSONValue] = [:]
  /// Missing or in an unknown form, it is the time at which the event was received.
  var updatedAt: JSONValue?
  var repositoryID: JSONValue?
  var previousSha: String?
  var isDraft = false
  var isOpen = true
  var isAuthorKnown = true
  var cause = PullRequestPush.Cause.commit

  init(names: [String: String], updatedAt: JSONValue?) {
    self.names = names
    self.updatedAt = updatedAt
  }

  /// The event of a commit that is to be reviewed. What makes it irrelevant is looked at before its fields: a sender that is answered with
  /// faults too often switches its hook off.
  ///
  /// A name that `OutsideName` refuses is no fault of the sender, which reports what a person has called a branch: there is no review, for
  /// that reason.
  /// - Throws: `HTTPFault` 422, naming all faults by the payload's own names.
  func push(in context: WebhookContext) throws(HTTPFault) -> WebhookEvent {
    guard isOpen else { return .ignored("the pull request is closed") }
    // A draft is judged like any other if it can be read: its owner may want to have it reviewed.
    guard isDraft else { return try checked(in: context) }
    return (try? checked(in: context)) ?? withheld("the pull request is a draft", in: context)
  }

  private func checked(in context: WebhookContext) throws(HTTPFault) -> WebhookEvent {
    var values = values
    values["owner"] = .object(["type": .string(context.owner.type.rawValue), "id": .string(context.owner.id)])
    values["platform"] = .string(context.platform.rawValue)
    values["platformIntegrationId"] = .string(context.integrationID.uuidString)
    values["platformRepositoryId"] = repositoryID?.repositoryNumber.map { .integer($0) }
    do {
      let review = try NewReview(json: .object(values))
      let key = PullRequestKey(
        owner: context.owner, platform: context.platform, url: review.prUrl, repositoryID: review.platformRepositoryId,
        repoFullName: review.repoFullName, prNumber: review.prNumber)
      let push = PullRequestPush(
        review: review, place: place(of: key, review.headSha, in: context), cause: cause, isAuthorKnown: isAuthorKnown)
      return .pushed(push, repositoryID: repositoryID?.idText, isDraft: isDraft)
    } catch {
      if error.isNameRefused {
        return withheld("a name is refused: \(error.faults.map(renamed).joined(separator: "; "))", in: context)
      }
      throw Self.fault(error.faults.map(renamed))
    }
  }

  /// Why no pull request is known by this repository's name, nor may get it; nil if one may.
  private var repositoryFault: String? {
    values["repoFullName"]?.string.flatMap(repositoryNameFault).map { renamed("repoFullName: \($0)") }
  }

  /// The event of a pull request that was closed.
  /// - Throws: `HTTPFault` 422, naming all faults by the payload's own names.
  func closed(in context: WebhookContext) throws(HTTPFault) -> WebhookEvent {
    if let fault = repositoryFault { return .ignored("a name is refused: \(fault)") }
    return .closed(try place(in: context))
  }

  /// A commit that is not to be reviewed. If the event does not say which one it is, nothing follows from it.
  func withheld(_ reason: String, in context: WebhookContext) -> WebhookEvent {
    guard repositoryFault == nil, let place = try? place(in: context), place.headSha != nil else {
      return .ignored(reason)
    }
    return .withheld(place, reason)
  }

  /// Where the pull request stands, for an event that needs no more.
  func place(in context: WebhookContext) throws(HTTPFault) -> PullRequestPlace {
    var faults: [String] = []
    if values["repoFullName"]?.string?.isEmpty != false { faults.append(renamed("repoFullName: expected a name")) }
    var number: Int?
    if case .integer(let value)? = values["prNumber"], let small = Int32(exactly: value), small > 0 {
      number = Int(small)
    } else {
      faults.append(renamed("prNumber: expected a whole number above 0"))
    }
    guard faults.isEmpty, let name = values["repoFullName"]?.string, let number else { throw Self.fault(faults) }
    let key = PullRequestKey(
      owner: context.owner, platform: context.platform, url: values["prUrl"]?.string ?? "",
      repositoryID: repositoryID?.repositoryNumber, repoFullName: name, prNumber: number)
    let sha = values["headSha"]?.string.flatMap { OutsideName.commitFault($0) == nil ? $0.lowercased() : nil }
    return place(of: key, sha, in: context)
  }

  private func place(of key: PullRequestKey, _ sha: String?, in context: WebhookContext) -> PullRequestPlace {
    let previous = previousSha.flatMap { OutsideName.commitFault($0) == nil ? $0.lowercased() : nil }
    return PullRequestPlace(
      pullRequest: key, updatedAt: LenientTime.read(updatedAt) ?? context.receivedAt, headSha: sha,
      previousSha: previous)
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

  /// The number of a repository.
  var repositoryNumber: Int64? { idText.flatMap { Int64($0) }.flatMap { $0 > 0 ? $0 : nil } }
}
