internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews

/// Whether a pull request is reviewed by itself, as its owner is configured now.
struct ReviewAdmission {
  let stored: StoredWebhook
  let push: PullRequestPush
  let repositoryID: String?
  let isDraft: Bool

  func verdict() -> WebhookVerdict {
    guard let text = stored.configuration else {
      return excluded("reviews are not enabled for \(stored.owner)", isGated: false)
    }
    // One that is faulty lets the review in: it fails as config_invalid, where its owner sees it.
    guard let configuration = try? ReviewConfiguration(json: text) else {
      return isDraft ? excluded("the pull request is a draft", isGated: false) : .pushed(push)
    }
    let isGated = configuration.gateThreshold != .off
    if configuration.repositorySelection == .selected,
      !configuration.selectedRepositoryIDs.contains(repositoryID ?? "")
    {
      return excluded("this repository is not selected for reviews", isGated: isGated)
    }
    if let reason = configuration.filter.exclusion(of: subject) { return excluded(reason, isGated: isGated) }
    guard configuration.filter.needsPaths else { return .pushed(push) }
    return .platform(.pathsNeeded(push, PlatformTask.PathsRequest(push, check: isGated ? check("") : nil)))
  }

  private func excluded(_ reason: String, isGated: Bool) -> WebhookVerdict {
    .platform(.excluded(push, reason: reason, check: isGated ? check(reason) : nil))
  }

  /// What a gate shows instead of a review: a required check must not hold up what is never reviewed.
  private func check(_ reason: String) -> PlatformTask.Check {
    let review = push.review
    return PlatformTask.Check(
      repository: review.repoFullName, repositoryId: review.platformRepositoryId, projectId: review.platformProjectId,
      url: review.prUrl, sha: review.headSha, conclusion: .neutral, title: "Code review: not reviewed", summary: reason,
      externalId: "excluded/\(review.repoFullName.lowercased())/\(review.prNumber)/\(review.headSha)",
      excludedNumber: review.prNumber)
  }

  private var subject: PullRequestFilter.Subject {
    let json = (try? JSONValue(json: stored.payload)) ?? .null
    let review = push.review
    let author = json["pull_request"]?["user"]
    return PullRequestFilter.Subject(
      author: review.prAuthor, isBot: author?["type"]?.string == "Bot" || Self.isBotName(review.prAuthor),
      base: review.baseRef, labels: Self.labels(json), title: review.prTitle, isDraft: isDraft)
  }

  /// GitHub's apps, and GitLab's users of access tokens.
  private static func isBotName(_ name: String) -> Bool {
    name.hasSuffix("[bot]")
      || (name.contains("_bot") && (name.hasPrefix("project_") || name.hasPrefix("group_")))
  }

  private static func labels(_ json: JSONValue) -> [String] {
    guard case .array(let labels)? = json["pull_request"]?["labels"] ?? json["labels"] else { return [] }
    return labels.compactMap { $0["name"]?.string ?? $0["title"]?.string }
  }
}
