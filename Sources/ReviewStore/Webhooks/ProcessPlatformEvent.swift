internal import FoundationEssentials
internal import PostgresClient
internal import Primitives
internal import Reviews

extension ReviewStore {
  static let platformEventStatements: [PostgresStatement] = [groupVerdict]

  /// Does what a delivery says that is no push, in the delivery's transaction.
  func apply(
    _ event: PlatformEvent, of stored: StoredWebhook, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    switch event {
    case .rerun(let request): return try await rerun(request, on: connection)
    case .requested(let push, let requester):
      return try await review(
        push, requestedBy: requester, receivedAt: stored.receivedAt, trace: stored.trace, on: connection)
    case .asked(let request, let key):
      try await addTask(
        .review(request), key: key, integration: stored.integrationID, trace: stored.trace, on: connection)
      return .unchanged("\(request.requester) asks for a review: their right to is being checked", nil)
    case .mergeGroup(let group): return try await judge(group, of: stored, on: connection)
    case .installation(let event): return try await apply(event, to: stored, on: connection)
    case .excluded(let push, let reason, let check):
      return try await exclude(push, reason, check, at: stored.receivedAt, of: stored, on: connection)
    case .pathsNeeded(let push, let request):
      let reason = "which files it changes is being looked at"
      let outcome = try await withhold(push.place, reason, stored.receivedAt, on: connection)
      guard case .unchanged(reason, _) = outcome else { return outcome }
      try await addTask(
        .paths(request), key: "\(stored.integrationID.lowercase)/\(push.place.pullRequest.text)/\(push.review.headSha)",
        integration: stored.integrationID, trace: stored.trace, on: connection)
      return outcome
    }
  }

  /// Has a check shown. A newer one of the same integration takes its place, and no other: another owner may have the same pull request, or one
  /// of the same name at another instance.
  private func add(
    _ check: PlatformTask.Check, for integration: UUID, trace: TraceContext, on connection: PostgresConnection
  ) async throws {
    try await addTask(
      .check(check), key: "\(integration.lowercase)/\(check.externalId)", integration: integration, trace: trace,
      on: connection)
  }

  /// The older reviews of a pull request end, as with any push; its newest commit gets none, and a gate is opened.
  private func exclude(
    _ push: PullRequestPush, _ reason: String, _ check: PlatformTask.Check?, at receivedAt: Timestamp,
    of stored: StoredWebhook, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    let outcome = try await withhold(push.place, reason, receivedAt, on: connection)
    if outcome == .unchanged(reason, nil), let check {
      try await add(check, for: stored.integrationID, trace: stored.trace, on: connection)
    }
    return outcome
  }

  /// Does what the files of a pull request have decided.
  /// - Parameters:
  ///   - request: the pull request that waited for its files.
  ///   - exclusion: why it is not reviewed; nil if it is.
  ///   - task: as it was taken; it is done afterwards.
  package func decide(
    _ request: PlatformTask.PathsRequest, exclusion: String?, of task: PlatformTask
  ) async throws -> WebhookOutcome {
    try await pool.withTransaction { connection in
      _ = try await connection.query(Self.lockTimeout, ["2000ms"])
      guard let exclusion else { return try await apply(request.push, .infinity, trace: task.trace, on: connection) }
      let outcome = try await withhold(request.push.place, exclusion, .infinity, on: connection)
      if outcome == .unchanged(exclusion, nil), var check = request.check {
        check.summary = exclusion
        try await add(check, for: task.integration.id, trace: task.trace, on: connection)
      }
      return outcome
    }
  }

  // MARK: Merge groups

  static let groupVerdict = PostgresStatement(
    "group_verdict",
    """
    /* baton:group_verdict */
    SELECT r.id, r.status, r.gate_result, r.error_code
      FROM code_reviews r
     WHERE \(isOfPullRequest)
     ORDER BY r.pr_updated_at DESC NULLS LAST, r.created_at DESC, r.id
     LIMIT 1
    """)

  /// The verdict on a merge group: that of the newest review of its pull request. It is given at once and always: a queue never waits.
  private func judge(
    _ group: MergeGroup, of stored: StoredWebhook, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    let key = group.pullRequest
    let row = try await connection.query(Self.groupVerdict, Self.parameters(of: key)).first
    let verdict = GroupVerdict(
      status: try row?.choice("status", as: ReviewStatus.self),
      gateResult: try row?.optional("gate_result", as: String.self))
    var check = group.check
    check.conclusion = verdict.conclusion
    check.summary = verdict.summary(number: key.prNumber)
    try await add(check, for: stored.integrationID, trace: stored.trace, on: connection)
    return .unchanged(
      "merge group of #\(key.prNumber): \(check.conclusion.rawValue)", try row?.decode("id", as: UUID.self))
  }
}

/// What the newest review of a pull request means for a merge group.
struct GroupVerdict: Sendable, Equatable {
  /// nil if the pull request has no review.
  var status: ReviewStatus?
  /// `pass` or `fail`; nil if the agent has not said.
  var gateResult: String?

  /// Failure only if the agent has found something above the threshold: then GitHub takes the pull request out of the queue. What is not known
  /// is neutral, with which GitHub merges: a fault of Baton's, or of the worker's, never blocks a queue.
  var conclusion: PlatformTask.Check.Conclusion {
    guard status == .completed else { return .neutral }
    return gateResult == "pass" ? .success : gateResult == "fail" ? .failure : .neutral
  }

  func summary(number: Int) -> String {
    guard let status else { return "There is no review of #\(number)." }
    switch (status, gateResult) {
    case (.completed, "pass"): return "The review of #\(number) found nothing above the threshold."
    case (.completed, "fail"): return "The review of #\(number) found something above the threshold."
    case (.completed, _): return "The review of #\(number) is completed, without a verdict."
    case (.pending, _), (.queued, _), (.running, _): return "The review of #\(number) has not ended."
    case (.failed, _): return "The review of #\(number) failed."
    case (.cancelled, _): return "The review of #\(number) was cancelled."
    }
  }
}
