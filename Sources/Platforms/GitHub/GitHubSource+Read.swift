internal import Primitives
internal import Reviews

extension GitHubSource {
  /// The most pages of a hundred that are read of one list of comments.
  static let commentPageCountMax = 30

  /// A pull request and its comments, all asked for at once.
  ///
  /// The comments are a help, not a condition: if they cannot be read, or not within their part of the time, the prompt says so. Only a rate limit also
  /// stops the review, as the agent would run into it next.
  func read(
    _ review: LeasedReview, _ access: Access, token: Secret?, account: String? = nil, hint: String = "",
    until deadline: ContinuousClock.Instant?
  ) async throws(CollectFailure) -> CollectedPullRequest {
    let caller = Self.caller(token, account: account)
    async let summaryAnswer = optional("issue comments", of: review, by: client, until: deadline) {
      await self.summary(review, access, caller)
    }
    async let inlineAnswer = optional("review comments", of: review, by: client, until: deadline) {
      await self.inlineComments(review, access, caller)
    }
    let pull: GitHubWire.PullRequest
    do {
      pull = try await pullRequest(review, access, caller, hint: hint)
    } catch .call(.failing(let message), _) {
      throw Self.failing(
        review, message, othersAnswered: [await summaryAnswer.isAnswered, await inlineAnswer.isAnswered])
    }
    guard pull.state != "closed" else {
      throw .permanent(.pullRequestClosed, message: "\(review.pullRequestName) is closed.")
    }
    let summary = try await Self.unlessRateLimited(summaryAnswer)
    let inlineComments = try await Self.unlessRateLimited(inlineAnswer)
    let base = pull.base?.repository
    let repository = Self.repository(base?.full_name, of: review)
    let isFork = Self.isFork(pull.head, of: base, repository)
    let facts = PullRequestFacts(
      title: pull.title ?? review.prTitle, author: pull.user?.login ?? review.prAuthor, description: pull.body ?? "",
      isDraft: pull.draft ?? false, isFork: isFork, headSha: pull.head?.sha ?? review.headSha,
      baseRef: Self.ref(pull.base?.ref, of: review.baseRef),
      headRef: isFork ? review.headRef : Self.ref(pull.head?.ref, of: review.headRef), repository: repository,
      summary: summary ?? .unknown, inlineComments: inlineComments)
    return CollectedPullRequest(facts: facts, token: token)
  }

  /// By number: a name may be that of a moment ago.
  private static func isFork(
    _ head: GitHubWire.Branch?, of base: GitHubWire.Repository?, _ repository: String
  ) -> Bool {
    switch head?.origin {
    case .deleted: true
    case .unknown, nil: false
    case .repository(let head) where head.id != nil && head.id == base?.id: false
    case .repository(let head): head.full_name != repository
    }
  }

  private func pullRequest(
    _ review: LeasedReview, _ access: Access, _ caller: APICaller, hint: String
  ) async throws(CollectFailure) -> GitHubWire.PullRequest {
    do {
      let answer = try await client.get("\(access.repository)/pulls/\(review.prNumber)", as: caller)
      return try APIClient.decode(GitHubWire.PullRequest.self, from: answer.body)
    } catch {
      throw .call(error, hint: hint)
    }
  }

  /// Our newest comment that carries the marker. Everyone can write the marker; only our app writes as our app.
  private func summary(
    _ review: LeasedReview, _ access: Access, _ caller: APICaller
  ) async -> Result<SummaryComment, APIFault> {
    var newest: GitHubWire.IssueComment?
    do {
      try await client.forEachPage(
        of: "\(access.repository)/issues/\(review.prNumber)/comments?per_page=\(APIClient.pageSize)", as: caller,
        GitHubWire.IssueComment.self, pageCountMax: Self.commentPageCountMax
      ) { page in
        for comment in page where isOwnSummary(comment) {
          // Of two without a readable time, the later in the list.
          if (newest?.updatedAt ?? .negativeInfinity) <= (comment.updatedAt ?? .negativeInfinity) { newest = comment }
        }
      }
    } catch {
      return .failure(error)
    }
    return .success(newest.map { .comment(id: $0.id, body: $0.body ?? "") } ?? .missing)
  }

  private func isOwnSummary(_ comment: GitHubWire.IssueComment) -> Bool {
    guard let appID, let app = comment.performed_via_github_app else { return false }
    return (String(app.id) == appID || app.client_id == appID) && comment.body?.contains(SummaryComment.marker) == true
  }

  private func inlineComments(
    _ review: LeasedReview, _ access: Access, _ caller: APICaller
  ) async -> Result<InlineComments, APIFault> {
    var comments = InlineComments()
    do {
      try await client.forEachPage(
        of: "\(access.repository)/pulls/\(review.prNumber)/comments?per_page=\(APIClient.pageSize)", as: caller,
        GitHubWire.ReviewComment.self, pageCountMax: Self.commentPageCountMax
      ) { page in
        for comment in page {
          comments.add(
            path: comment.path, line: comment.line ?? comment.original_line, text: comment.body ?? "",
            isOutdated: comment.position == nil)
        }
      }
    } catch {
      return .failure(error)
    }
    return .success(comments)
  }
}

extension GitHubWire.Branch {
  fileprivate var repository: GitHubWire.Repository? {
    if case .repository(let repository) = origin { repository } else { nil }
  }
}

extension GitHubWire.IssueComment {
  fileprivate var updatedAt: Timestamp? { LenientTime.read(updated_at) }
}
