internal import FoundationEssentials
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// Makes the start request out of what was collected.
struct PayloadBuilder: Sendable {
  /// Used if the owner names no model.
  static let modelDefault = "anthropic/claude-sonnet-4.6"

  let authKey: AuthKey
  let byteCountMax: Int
  let now: @Sendable () -> Date

  /// - Parameter agentVersion: the configuration's, or what a flag decided.
  /// - Throws: `.permanent` with `payload_too_large`.
  func payload(
    _ review: LeasedReview, _ collected: CollectedPullRequest, _ configuration: ReviewConfiguration,
    agentVersion: String?
  ) throws(PreparationError) -> PreparedPayload {
    let body = request(review, collected, configuration, agentVersion).encode()
    guard body.count <= byteCountMax else {
      throw .permanent(
        .payloadTooLarge, message: "The payload has \(body.count) bytes; the worker takes at most \(byteCountMax).")
    }
    return PreparedPayload(body: body, headSha: collected.facts.headSha, agentVersion: agentVersion)
  }

  private func request(
    _ review: LeasedReview, _ collected: CollectedPullRequest, _ configuration: ReviewConfiguration,
    _ agentVersion: String?
  ) -> StartRequest {
    StartRequest(
      reviewId: review.id, attempt: review.attempt,
      authToken: AuthToken.sign(reviewID: review.id, attempt: review.attempt, now: now(), key: authKey),
      sessionInput: sessionInput(review, collected, configuration),
      owner: RunOwner(type: review.owner.type, id: review.owner.id, userId: review.userId),
      agentVersion: agentVersion, previousCloudAgentSessionId: review.previousSessionId,
      maxReviewTimeMinutes: configuration.maxReviewTimeMinutes)
  }

  private func sessionInput(
    _ review: LeasedReview, _ collected: CollectedPullRequest, _ configuration: ReviewConfiguration
  ) -> SessionInput {
    let isGitHub = review.platform == .github
    let token = collected.token?.reveal()
    return SessionInput(
      githubRepo: isGitHub ? collected.facts.repository : nil, gitUrl: collected.facts.cloneURL,
      prompt: Prompt(review: review, facts: collected.facts, configuration: configuration).text,
      model: configuration.model ?? Self.modelDefault, platform: review.platform,
      upstreamBranch: Self.upstreamBranch(review, collected.facts),
      githubToken: isGitHub ? token : nil, gitToken: isGitHub ? nil : token, variant: configuration.thinkingEffort,
      gateThreshold: configuration.gateThreshold == .off ? nil : configuration.gateThreshold.rawValue)
  }

  /// A fork's branch is not in the repository that is cloned; the platform's own reference to the pull request is.
  static func upstreamBranch(_ review: LeasedReview, _ facts: PullRequestFacts) -> String {
    guard facts.isFork, !facts.headRef.hasPrefix("refs/") else { return facts.headRef }
    return review.platform == .github
      ? "refs/pull/\(review.prNumber)/head" : "refs/merge-requests/\(review.prNumber)/head"
  }
}
