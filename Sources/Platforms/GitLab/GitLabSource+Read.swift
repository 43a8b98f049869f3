internal import Logging
internal import Reviews

extension GitLabSource {
  /// The most pages of a hundred that are read of one list of notes.
  static let notePageCountMax = 30

  /// A merge request and its notes, all asked for at once; as with GitHub, the notes are a help and not a condition.
  func read(_ review: LeasedReview, _ access: Access) async throws(CollectFailure) -> CollectedPullRequest {
    async let summaryAnswer = summary(review, access)
    async let inlineAnswer = inlineComments(review, access)
    let request = try await mergeRequest(access)
    guard request.state != "closed" && request.state != "merged" else {
      throw .permanent(.pullRequestClosed, message: "\(review.pullRequestName) is \(request.state).")
    }
    let summary = try await Self.unlessRateLimited(summaryAnswer)
    let inlineComments = try await Self.unlessRateLimited(inlineAnswer)
    let path = Self.projectPath(of: request) ?? review.repoFullName
    let facts = PullRequestFacts(
      title: request.title, author: request.author?.username ?? review.prAuthor,
      description: request.description ?? "", isDraft: request.draft ?? request.work_in_progress ?? false,
      isFork: request.source_project_id != request.target_project_id, headSha: request.sha ?? review.headSha,
      repository: path, cloneURL: access.instance.url("/\(path).git"), diffRefs: Self.diffRefs(of: request),
      summary: summary ?? .unknown, inlineComments: inlineComments)
    return CollectedPullRequest(facts: facts, token: access.token)
  }

  private func mergeRequest(_ access: Access) async throws(CollectFailure) -> GitLabWire.MergeRequest {
    do {
      let answer = try await access.client.get(access.mergeRequest, headers: Self.headers(access.token))
      return try APIClient.decode(GitLabWire.MergeRequest.self, from: answer.body)
    } catch {
      throw .call(
        error, hint: access.token == nil ? "No token was sent, as the review has no integration with one." : "")
    }
  }

  /// The newest note with the marker that the token's own user wrote; without a token there can be none.
  private func summary(_ review: LeasedReview, _ access: Access) async -> Result<SummaryComment, APIFault> {
    guard access.token != nil else { return .success(.missing) }
    var marked: [GitLabWire.Note] = []
    do {
      try await access.client.forEachPage(
        of: "\(access.mergeRequest)/notes?per_page=100&sort=desc&order_by=updated_at", as: GitLabWire.Note.self,
        headers: Self.headers(access.token), pageCountMax: Self.notePageCountMax
      ) { page in
        marked += page.filter { $0.system != true && $0.body?.contains(SummaryComment.marker) == true }
      }
      guard !marked.isEmpty else { return .success(.missing) }
      let user = try await access.client.get("/user", headers: Self.headers(access.token))
      let own = try APIClient.decode(GitLabWire.User.self, from: user.body).id
      let newest = marked.filter { own != nil && $0.author?.id == own }.max {
        ($0.updated_at ?? "") < ($1.updated_at ?? "")
      }
      return .success(newest.map { .comment(id: $0.id, body: $0.body ?? "") } ?? .missing)
    } catch {
      note(error, "notes", review)
      return .failure(error)
    }
  }

  private func inlineComments(_ review: LeasedReview, _ access: Access) async -> Result<InlineComments, APIFault> {
    var comments = InlineComments()
    do {
      try await access.client.forEachPage(
        of: "\(access.mergeRequest)/discussions?per_page=100", as: GitLabWire.Discussion.self,
        headers: Self.headers(access.token), pageCountMax: Self.notePageCountMax
      ) { page in
        for note in page.flatMap(\.notes) {
          guard let position = note.position, let path = position.new_path ?? position.old_path else { continue }
          comments.add(
            path: path, line: position.new_line ?? position.old_line, text: note.body ?? "",
            isOutdated: note.resolved == true)
        }
      }
    } catch {
      note(error, "discussions", review)
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

  private func note(_ fault: APIFault, _ what: String, _ review: LeasedReview) {
    guard fault != .cancelled else { return }
    logger.notice(
      "GitLab's \(what) could not be read; the review goes on without them",
      metadata: ["review": "\(review.id.lowercase)", "fault": "\(fault)"])
  }
}
