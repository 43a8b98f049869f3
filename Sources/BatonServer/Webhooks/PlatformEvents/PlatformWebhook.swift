internal import FoundationEssentials
internal import HTTPKit
internal import Primitives
internal import ReviewStore
internal import Reviews

/// What webhooks say besides pushes, read out of a stored delivery.
struct PlatformWebhook {
  let stored: StoredWebhook
  let policy: WebhookPolicy
  let json: JSONValue

  /// The events of GitHub that are read here. Of `pull_request`, only a label is.
  static let githubEvents: Set = [
    "check_run", "check_suite", "merge_group", "issue_comment", "installation", "installation_repositories",
    "repository",
  ]

  /// - Returns: nil if the delivery says nothing that is read here.
  init?(_ stored: StoredWebhook, _ policy: WebhookPolicy) {
    guard let json = try? JSONValue(json: stored.payload) else { return nil }
    self.stored = stored
    self.policy = policy
    self.json = json
  }

  /// What the delivery means; nil if it says nothing that is read here.
  func verdict() throws(HTTPFault) -> WebhookVerdict? {
    guard stored.platform == .github else { return try gitlabVerdict() }
    let action = json["action"]?.string
    switch (stored.event, action) {
    case ("installation", _), ("installation_repositories", _): return installation(action)
    case (let event, _) where stored.isRevoked && Self.githubEvents.contains(event):
      return .ignored("the integration was revoked")
    case ("check_run", "rerequested"): return checkRun()
    case ("check_suite", "rerequested"): return checkSuite()
    case ("merge_group", "checks_requested"): return mergeGroup()
    case ("issue_comment", "created"): return comment()
    case ("pull_request", "labeled"): return try labeled(json["label"]?["name"]?.string)
    default: return nil
    }
  }

  /// As the history names who has caused the event.
  func requester(_ name: String?) -> String { "\(stored.platform.rawValue):\(name ?? "unknown")" }

  private var sender: String { requester(json["sender"]?["login"]?.string) }
}

// MARK: Re-runs

extension PlatformWebhook {
  private func isOurs(_ app: JSONValue?) -> Bool {
    guard let appID = policy.appID else { return true }
    return [app?["id"]?.idText, app?["client_id"]?.string].contains(appID)
  }

  private func rerun(_ subject: RerunRequest.Subject) -> WebhookVerdict {
    .platform(
      .rerun(
        RerunRequest(
          subject: subject, owner: stored.owner, platform: .github, integrationID: stored.integrationID,
          requester: sender)))
  }

  private func checkRun() -> WebhookVerdict {
    let run = json["check_run"]
    guard isOurs(run?["app"]) else { return .ignored("the check is another app's") }
    // A check of ours says what it belongs to: a review, a merge group, or a pull request that is not reviewed.
    let parts = (run?["external_id"]?.string ?? "").split(separator: "/").map { String($0) }
    switch parts.first {
    case "merge-group": return mergeGroup(sha: run?["head_sha"], ref: run?["check_suite"]?["head_branch"])
    case "excluded": return excluded(number: parts.dropLast().last.flatMap { Int($0) })
    case let text?:
      if let id = UUID(uuidString: text) {
        return rerun(.review(id, attempt: parts.count > 1 ? Int(parts[1]) : nil))
      }
      return .ignored("the check belongs to no review")
    case nil: return .ignored("the check belongs to no review")
    }
  }

  /// A person wants a review of a pull request that gets none by itself.
  private func excluded(number: Int?) -> WebhookVerdict {
    guard let number, let repository = json["repository"]?["full_name"]?.string,
      let user = json["sender"]?["login"]?.string
    else { return .ignored("the check names no pull request") }
    if let reason = notEnabled(repositoryID: json["repository"]?["id"]?.idText) { return .ignored(reason) }
    return .platform(
      .asked(
        PlatformTask.ReviewRequest(repository: repository, number: number, user: user, requester: sender),
        key: "\(stored.integrationID.lowercase)/rerun/\(repository)/\(number)"))
  }

  private func checkSuite() -> WebhookVerdict {
    let suite = json["check_suite"]
    guard isOurs(suite?["app"]) else { return .ignored("the checks are another app's") }
    if let branch = suite?["head_branch"]?.string, branch.contains(Self.queueFolder) {
      return mergeGroup(sha: suite?["head_sha"], ref: suite?["head_branch"])
    }
    guard let sha = suite?["head_sha"]?.string, let repository = json["repository"]?["full_name"]?.string else {
      return .ignored("the event names no commit")
    }
    return rerun(
      .commit(sha, repository: repository, repositoryID: json["repository"]?["id"]?.repositoryNumber))
  }
}

// MARK: Merge groups

extension PlatformWebhook {
  /// Where GitHub has the branches of merge groups.
  private static let queueFolder = "gh-readonly-queue/"

  /// The number in `refs/heads/gh-readonly-queue/main/pr-104-929f…`.
  static func pullRequest(ofGroup ref: String) -> Int? {
    guard let name = ref.split(separator: "/").last, name.hasPrefix("pr-") else { return nil }
    let parts = name.dropFirst(3).split(separator: "-")
    guard parts.count == 2, let number = Int32(parts[0]), number > 0 else { return nil }
    return Int(number)
  }

  private func mergeGroup() -> WebhookVerdict {
    mergeGroup(sha: json["merge_group"]?["head_sha"], ref: json["merge_group"]?["head_ref"])
  }

  /// - Parameter ref: the group's branch, which names the pull request.
  private func mergeGroup(sha: JSONValue?, ref: JSONValue?) -> WebhookVerdict {
    guard let sha = sha?.string, let ref = ref?.string,
      let repository = json["repository"]?["full_name"]?.string
    else { return .ignored("the event names no merge group") }
    guard let number = Self.pullRequest(ofGroup: ref) else { return .ignored("the merge group names no pull request") }
    return .platform(
      .mergeGroup(
        MergeGroup(
          pullRequest: PullRequestKey(
            owner: stored.owner, platform: .github, repositoryID: json["repository"]?["id"]?.repositoryNumber,
            repoFullName: repository, prNumber: number), headSha: sha,
          check: PlatformTask.Check(
            repository: repository, sha: sha, conclusion: .neutral, title: "Code review: merge group", summary: "",
            externalId: "merge-group/\(sha)"))))
  }
}

// MARK: Comments and labels

extension PlatformWebhook {
  private func comment() -> WebhookVerdict {
    let issue = json["issue"]
    guard let pull = issue?["pull_request"], pull != .null else { return .ignored("the comment is on an issue") }
    guard policy.isCommand(json["comment"]?["body"]?.string ?? "") else {
      return .ignored("the comment does not ask for a review")
    }
    guard json["comment"]?["user"]?["type"]?.string != "Bot" else { return .ignored("the comment is a bot's") }
    guard issue?["state"]?.string != "closed" else { return .ignored("the pull request is closed") }
    guard let repository = json["repository"]?["full_name"]?.string, case .integer(let number)? = issue?["number"],
      let small = Int32(exactly: number), let user = json["comment"]?["user"]?["login"]?.string
    else { return .ignored("the event names no pull request") }
    if let reason = notEnabled(repositoryID: json["repository"]?["id"]?.idText) { return .ignored(reason) }
    return .platform(
      .asked(
        PlatformTask.ReviewRequest(
          repository: repository, number: Int(small), user: user, requester: requester(user)),
        key: "\(stored.integrationID.lowercase)/\(json["comment"]?["id"]?.idText ?? "")"))
  }

  private func labeled(_ name: String?) throws(HTTPFault) -> WebhookVerdict? {
    guard policy.isLabel(name) else { return nil }
    if stored.isRevoked { return .ignored("the integration was revoked") }
    if let reason = notEnabled(repositoryID: json["repository"]?["id"]?.idText) { return .ignored(reason) }
    // Read as if it had just been opened: the label is the wish, whatever else is true of the pull request.
    return try requested(json.replacing("action", with: .string("opened")), event: "pull_request", by: sender)
  }

  func requested(_ json: JSONValue, event: String, by requester: String) throws(HTTPFault) -> WebhookVerdict {
    guard let body = try? JSONCoding.encode(json) else { return .ignored("the event cannot be read") }
    // Without a policy: the label is no wish within the wish.
    let context = WebhookContext(
      owner: stored.owner, platform: stored.platform, integrationID: stored.integrationID,
      receivedAt: stored.receivedAt)
    let event = try WebhookEvent(event, payload: body, in: context)
    guard case .pushed(let push, _, _) = event else { return .ignored("the event names no commit") }
    return .platform(.requested(push, by: requester))
  }

  func notEnabled(repositoryID: String?) -> String? { stored.standing.notEnabled(repositoryID: repositoryID) }
}

extension WebhookStanding {
  /// Why nothing of this owner or repository is reviewed, not even if a person asks for it.
  func notEnabled(repositoryID: String?) -> String? {
    guard let text = configuration else { return "reviews are not enabled for \(owner)" }
    guard let configuration = try? ReviewConfiguration(json: text), configuration.repositorySelection == .selected,
      !configuration.selectedRepositoryIDs.contains(repositoryID ?? "")
    else { return nil }
    return "this repository is not selected for reviews"
  }
}

// MARK: Installations

extension PlatformWebhook {
  private func installation(_ action: String?) -> WebhookVerdict? {
    guard let change = installationChange(action) else { return nil }
    let installation = json["installation"]
    let times = [installation?["updated_at"], installation?["suspended_at"]].compactMap { LenientTime.read($0) }
    return .platform(
      .installation(
        InstallationEvent(change, of: stored.integrationID, at: times.max(), receivedAt: stored.receivedAt)))
  }

  private func installationChange(_ action: String?) -> InstallationChange? {
    switch (stored.event, action) {
    case ("installation", "deleted"): return .deleted(by: sender)
    case ("installation", "suspend"): return .suspended(by: sender)
    case ("installation", "unsuspend"): return .restored
    case ("installation_repositories", "added"):
      guard case .array(let items)? = json["repositories_added"] else { return nil }
      return .repositoriesAdded(items.count)
    case ("installation_repositories", "removed"):
      guard case .array(let items)? = json["repositories_removed"] else { return nil }
      return .repositoriesRemoved(
        items.compactMap { item in
          item["full_name"]?.string.map { RemovedRepository(id: item["id"]?.repositoryNumber, fullName: $0) }
        })
    default: return nil
    }
  }
}

extension JSONValue {
  /// The same object with another value of a field.
  func replacing(_ name: String, with value: JSONValue?) -> JSONValue {
    guard case .object(var fields) = self else { return self }
    fields[name] = value
    return .object(fields)
  }
}
