internal import Primitives
internal import Reviews

extension GitLabSource {
  /// The most pages of a hundred that are read of one list of notes.
  static let notePageCountMax = 30

  /// A merge request and its notes, all asked for at once; as with GitHub, the notes are a help and not a condition.
  func read(
    _ review: LeasedReview, _ project: GitLabProject, _ grant: GitLabTokens.Grant?,
    until deadline: ContinuousClock.Instant?
  ) async throws(CollectFailure) -> CollectedPullRequest {
    let target = Target(review, project, grant)
    async let summaryAnswer = optional("notes", of: review, by: target.client, until: deadline) {
      await self.summary(target)
    }
    async let inlineAnswer = optional("discussions", of: review, by: target.client, until: deadline) {
      await self.inlineComments(target)
    }
    let request: GitLabWire.MergeRequest
    do {
      request = try await mergeRequest(target)
    } catch .call(.failing(let message), _) {
      throw Self.failing(
        review, message, othersAnswered: [await summaryAnswer.isAnswered, await inlineAnswer.isAnswered])
    }
    guard request.state != "closed" && request.state != "merged" else {
      throw .permanent(.pullRequestClosed, message: "\(review.pullRequestName) is \(request.state).")
    }
    let summary = try await Self.unlessRateLimited(summaryAnswer)
    let inlineComments = try await Self.unlessRateLimited(inlineAnswer)
    let path = Self.repository(Self.projectPath(of: request), of: review)
    let isFork = request.source_project_id != request.target_project_id
    let facts = PullRequestFacts(
      title: request.title, author: request.author?.username ?? review.prAuthor,
      description: request.description ?? "", isDraft: request.draft ?? request.work_in_progress ?? false,
      isFork: isFork, headSha: request.sha ?? review.headSha,
      baseRef: Self.ref(request.target_branch, of: review.baseRef),
      headRef: isFork ? review.headRef : Self.ref(request.source_branch, of: review.headRef),
      repository: path, cloneURL: project.instance.base.url("/\(path).git"), diffRefs: Self.diffRefs(of: request),
      summary: summary ?? .unknown, inlineComments: inlineComments)
    return CollectedPullRequest(facts: facts, token: grant?.secret)
  }

  /// What is asked, and in whose name.
  struct Target: Sendable {
    let client: APIClient
    /// `/projects/{id}/merge_requests/{iid}`, encoded.
    let path: String
    let caller: APICaller
    let hasToken: Bool
    /// The token's user; nil without a token, or if GitLab does not say.
    let userID: Int64?

    init(_ review: LeasedReview, _ project: GitLabProject, _ grant: GitLabTokens.Grant?) {
      client = project.client
      path = "\(project.path)/merge_requests/\(review.prNumber)"
      caller = GitLabSource.caller(grant?.secret)
      hasToken = grant != nil
      userID = grant?.userID
    }
  }

  private func mergeRequest(_ target: Target) async throws(CollectFailure) -> GitLabWire.MergeRequest {
    do {
      let answer = try await target.client.get(target.path, as: target.caller)
      return try APIClient.decode(GitLabWire.MergeRequest.self, from: answer.body)
    } catch {
      throw .call(
        error, hint: !target.hasToken ? "No token was sent, as the review has no integration with one." : "")
    }
  }

  /// The newest note with the marker that the token's own user wrote; without a token there can be none, and where GitLab
  /// does not say whose the token is, one that carries the marker is not trusted.
  private func summary(_ target: Target) async -> Result<SummaryComment, APIFault> {
    guard target.hasToken else { return .success(.missing) }
    var newest: GitLabWire.Note?
    do {
      try await target.client.forEachPage(
        of: "\(target.path)/notes?per_page=\(APIClient.pageSize)&sort=desc&order_by=updated_at", as: target.caller,
        GitLabWire.Note.self, pageCountMax: Self.notePageCountMax
      ) { page in
        for note in page where note.isSummary(of: target.userID) {
          // The list is sorted: of two without a readable time, the earlier in it.
          if newest.map({ ($0.updatedAt ?? .negativeInfinity) < (note.updatedAt ?? .negativeInfinity) }) ?? true {
            newest = note
          }
        }
      }
    } catch {
      return .failure(error)
    }
    guard let newest else { return .success(.missing) }
    return .success(target.userID == nil ? .unknown : .comment(id: newest.id, body: newest.body ?? ""))
  }

  private func inlineComments(_ target: Target) async -> Result<InlineComments, APIFault> {
    var comments = InlineComments()
    do {
      try await target.client.forEachPage(
        of: "\(target.path)/discussions?per_page=\(APIClient.pageSize)", as: target.caller,
        GitLabWire.Discussion.self, pageCountMax: Self.notePageCountMax
      ) { page in
        for note in page.flatMap(\.notes) {
          guard let position = note.position, let path = position.new_path ?? position.old_path else { continue }
          comments.add(
            path: path, line: position.new_line ?? position.old_line, text: note.body ?? "",
            isOutdated: note.resolved == true)
        }
      }
    } catch {
      return .failure(error)
    }
    return .success(comments)
  }

  /// `group/project` out of `group/project!7`.
  private static func projectPath(of request: GitLabWire.MergeRequest) -> String? {
    guard let full = request.references?.full, let mark = full.lastIndex(of: "!"), mark != full.startIndex else {
      return nil
    }
    return String(full[..<mark])
  }

  private static func diffRefs(of request: GitLabWire.MergeRequest) -> PullRequestFacts.DiffRefs? {
    guard let refs = request.diff_refs, let base = refs.base_sha, let start = refs.start_sha, let head = refs.head_sha
    else { return nil }
    return .init(base: base, start: start, head: head)
  }
}

extension GitLabWire.Note {
  fileprivate var updatedAt: Timestamp? { LenientTime.read(updated_at) }

  /// Whether it carries the marker, and a given user wrote it; nil for any user.
  fileprivate func isSummary(of userID: Int64?) -> Bool {
    system != true && (userID == nil || author?.id == userID) && body?.contains(SummaryComment.marker) == true
  }
}
