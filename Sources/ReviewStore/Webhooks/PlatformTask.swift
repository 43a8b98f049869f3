internal import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// Something to be done at GitHub or GitLab that belongs to no review.
package struct PlatformTask: Sendable, Equatable {
  /// A check run that is complete, or a commit status.
  package struct Check: Sendable, Codable, Equatable {
    /// How it has ended, in the words of GitHub.
    package enum Conclusion: String, Sendable, Codable { case success, neutral, failure }

    package var repository: String
    /// The platform's number of the repository, which a rename does not change; nil if an earlier release has stored the check.
    package var repositoryId: Int64?
    /// GitLab's project.
    package var projectId: Int64?
    /// The merge request's address, which says at which GitLab it is; nil for GitHub.
    package var url: String?
    package var sha: String
    package var conclusion: Conclusion
    package var title: String
    package var summary: String
    package var externalId: String
    /// Set if it says that a pull request is excluded: it is not shown if there is a review of the commit by then.
    package var excludedNumber: Int?

    package init(
      repository: String, repositoryId: Int64? = nil, projectId: Int64? = nil, url: String? = nil, sha: String,
      conclusion: Conclusion, title: String, summary: String, externalId: String, excludedNumber: Int? = nil
    ) {
      self.repository = repository
      self.repositoryId = repositoryId
      self.projectId = projectId
      self.url = url
      self.sha = sha
      self.conclusion = conclusion
      self.title = title
      self.summary = summary
      self.externalId = externalId
      self.excludedNumber = excludedNumber
    }

    /// The pull request that it says is excluded; nil if it says something else.
    package func excludedPullRequest(of owner: Owner, _ platform: Platform) -> PullRequestKey? {
      excludedNumber.map { number in
        PullRequestKey(
          owner: owner, platform: platform, url: url ?? "", repositoryID: repositoryId ?? projectId,
          repoFullName: repository, prNumber: number)
      }
    }
  }

  /// A person's wish to have a pull request reviewed, which the platform has not confirmed yet.
  package struct ReviewRequest: Sendable, Codable, Equatable {
    package var repository: String
    package var projectId: Int64?
    package var url: String?
    package var number: Int
    /// GitHub's login, or GitLab's number of the user.
    package var user: String
    /// As the history names who asked.
    package var requester: String

    package init(
      repository: String, projectId: Int64? = nil, url: String? = nil, number: Int, user: String, requester: String
    ) {
      self.repository = repository
      self.projectId = projectId
      self.url = url
      self.number = number
      self.user = user
      self.requester = requester
    }
  }

  /// A pull request that is reviewed if it changes certain files.
  package struct PathsRequest: Sendable, Codable, Equatable {
    package var review: NewReview
    package var updatedAt: Timestamp
    package var previousSha: String?
    package var cause: PullRequestPush.Cause
    package var isAuthorKnown: Bool
    /// What a gate shows if it is not reviewed; nil without a gate.
    package var check: Check?

    package init(_ push: PullRequestPush, check: Check?) {
      review = push.review
      (updatedAt, previousSha) = (push.place.updatedAt, push.place.previousSha)
      (cause, isAuthorKnown) = (push.cause, push.isAuthorKnown)
      self.check = check
    }

    private enum CodingKeys: String, CodingKey { case review, updatedAt, previousSha, cause, isAuthorKnown, check }

    /// A request of an earlier release has neither cause nor whether the author is known.
    package init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      review = try container.decode(NewReview.self, forKey: .review)
      updatedAt = try container.decode(Timestamp.self, forKey: .updatedAt)
      previousSha = try container.decodeIfPresent(String.self, forKey: .previousSha)
      cause = try container.decodeIfPresent(PullRequestPush.Cause.self, forKey: .cause) ?? .commit
      isAuthorKnown = try container.decodeIfPresent(Bool.self, forKey: .isAuthorKnown) ?? true
      check = try container.decodeIfPresent(Check.self, forKey: .check)
    }

    package var push: PullRequestPush {
      let key = PullRequestKey(
        owner: review.owner, platform: review.platform, url: review.prUrl, repositoryID: review.platformRepositoryId,
        repoFullName: review.repoFullName, prNumber: review.prNumber)
      return PullRequestPush(
        review: review,
        place: PullRequestPlace(
          pullRequest: key, updatedAt: updatedAt, headSha: review.headSha, previousSha: previousSha),
        cause: cause, isAuthorKnown: isAuthorKnown)
    }
  }

  /// What is to be done.
  package enum Kind: Sendable, Equatable {
    case check(Check)
    case review(ReviewRequest)
    case paths(PathsRequest)
  }

  package var id: Int64
  package var kind: Kind
  /// What was taken: a change since then leaves the task due.
  package var version: Int
  /// How often it has been tried, this time included.
  package var tries: Int
  package var age: Duration
  package var owner: Owner
  package var platform: Platform
  package var integration: Integration
  package var trace: TraceContext
  /// Where it is to be done: a GitLab's address, or the platform's name.
  package var host: String
}

extension ReviewStore {
  static let platformTaskStatements: [PostgresStatement] = [
    addTask, takeTasks, endTask, taskOutcome, failTask, pruneTasks, commitHasReview,
  ]

  static let addTask = PostgresStatement(
    "add_task",
    """
    /* baton:add_task */
    INSERT INTO baton_platform_tasks AS t (kind, key, integration_id, payload, traceparent, host)
    VALUES ($1, $2, $3, $4::text::jsonb, $5,
            COALESCE((SELECT COALESCE(i.instance_url, i.platform) FROM platform_integrations i WHERE i.id = $3), ''))
    ON CONFLICT (kind, key) DO UPDATE
       SET payload = EXCLUDED.payload, integration_id = EXCLUDED.integration_id, host = EXCLUDED.host, version = t.version + 1, tries = 0,
           due_at = now(), created_at = now(), last_error = NULL
    """)

  /// Notes a task in the transaction that has found it necessary.
  /// - Parameter key: one task for one subject: a newer one replaces it.
  func addTask(
    _ kind: PlatformTask.Kind, key: String, integration: UUID, trace: TraceContext, on connection: PostgresConnection
  ) async throws {
    let (name, payload): (String, Data) =
      switch kind {
      case .check(let check): ("check", try JSONEncoder().encode(check))
      case .review(let request): ("review", try JSONEncoder().encode(request))
      case .paths(let request): ("paths", try JSONEncoder().encode(request))
      }
    _ = try await connection.query(
      Self.addTask, [name, key, integration, String(decoding: payload, as: UTF8.self), trace.traceparent])
  }

  static let takeTasks = PostgresStatement(
    "take_tasks",
    """
    /* baton:take_tasks */
    WITH RECURSIVE \(Fragment.taken("f.id", from: "baton_platform_tasks")),
    mine AS (
      UPDATE baton_platform_tasks t
         -- If this process dies, the task comes due again by itself.
         SET tries = t.tries + 1, due_at = now() + interval '60 seconds'
        FROM taken
       WHERE t.id = taken.id
      RETURNING t.*
    )
    SELECT m.id, m.kind, COALESCE(NULLIF(m.host, ''), i.instance_url, i.platform) AS host, m.payload::text AS payload, m.version, m.tries, m.traceparent,
           \(Fragment.seconds(from: "m.created_at")) AS age, m.integration_id,
           i.owner_type, i.owner_id, i.platform, i.installation_id, i.instance_url, i.token_ciphertext,
           i.metadata::text AS metadata, i.revoked_at IS NOT NULL AS is_revoked
      FROM mine m
      LEFT JOIN platform_integrations i ON i.id = m.integration_id
    """)

  /// Takes tasks that are due; one that is not settled in a minute comes due again. Tasks whose integration is gone are deleted. One that this
  /// version cannot read is left to a newer one.
  /// - Parameters:
  ///   - limit: how many at most.
  ///   - hosts: whose tasks are left, see ``PlatformTask/host``.
  package func takeTasks(limit: Int, without hosts: [String] = []) async throws -> [PlatformTask] {
    let rows = try await pool.query(Self.takeTasks, [Int32(limit), hosts])
    var tasks: [PostgresRow] = []
    for row in rows {
      if try row.optional("owner_id", as: String.self) != nil {
        tasks.append(row)
      } else {
        _ = try await pool.query(
          Self.endTask, [row.decode("id", as: Int64.self), row.decode("version", as: Int32.self)])
      }
    }
    return decodeEach(tasks, "task at a platform") { try PlatformTask($0) }
  }

  static let endTask = PostgresStatement(
    "end_task", "/* baton:end_task */ DELETE FROM baton_platform_tasks WHERE id = $1 AND version = $2")

  /// Removes a task that is done, and notes its outcome: both or neither, so that a process that dies does not leave an outcome of a task
  /// that is done again.
  package func endTask(_ task: PlatformTask, outcome: String) async throws {
    try await pool.withTransaction { connection in
      try await noteOutcome(outcome, of: task, on: connection)
      _ = try await connection.query(Self.endTask, [task.id, Int32(task.version)])
    }
  }

  static let taskOutcome = PostgresStatement(
    "task_outcome",
    """
    /* baton:task_outcome */
    UPDATE webhook_deliveries d
       SET outcome = $5
     WHERE lower(d.about_repository) = lower($1) AND d.about_number = $2 AND d.traceparent = $3 AND d.platform = $4
       AND d.processed_at IS NOT NULL
    """)

  /// Puts the outcome of the event that a task decides about into the list of deliveries: until now it was only that it is being asked.
  private func noteOutcome(
    _ outcome: String, of task: PlatformTask, on connection: PostgresConnection
  ) async throws {
    let (repository, number): (String, Int)
    switch task.kind {
    case .check: return
    case .review(let request): (repository, number) = (request.repository, request.number)
    case .paths(let request): (repository, number) = (request.review.repoFullName, request.review.prNumber)
    }
    _ = try await connection.query(
      Self.taskOutcome,
      [repository, Int32(clamping: number), task.trace.traceparent, task.platform.rawValue, outcome.storable])
  }

  static let failTask = PostgresStatement(
    "fail_task",
    """
    /* baton:fail_task */
    UPDATE baton_platform_tasks
       SET last_error = $3,
           due_at = CASE WHEN version <> $2 THEN now() ELSE now() + make_interval(secs => $4) END
     WHERE id = $1
    """)

  /// Notes why a task could not be done.
  /// - Parameters:
  ///   - task: as it was taken.
  ///   - delay: until it is tried again; nil gives it up: the row stays, with the reason, which becomes the event's outcome.
  package func failTask(_ task: PlatformTask, error: String, retryAfter delay: Duration?) async throws {
    try await pool.withTransaction { connection in
      if delay == nil { try await noteOutcome(error, of: task, on: connection) }
      _ = try await connection.query(
        Self.failTask, [task.id, Int32(task.version), error.storable, delay.map { max($0, .zero).inSeconds }])
    }
  }

  static let pruneTasks = PostgresStatement(
    "prune_tasks",
    """
    /* baton:prune_tasks */
    DELETE FROM baton_platform_tasks WHERE due_at IS NULL AND created_at < now() - interval '14 days'
    """)

  /// Deletes tasks that were given up long ago.
  package func pruneTasks() async throws { _ = try await pool.query(Self.pruneTasks, []) }

  static let commitHasReview = PostgresStatement(
    "commit_has_review",
    """
    /* baton:commit_has_review */
    SELECT EXISTS (
      SELECT 1 FROM code_reviews r
       WHERE \(isOfPullRequest) AND r.head_sha = $8) AS is_there
    """)

  /// Whether there is a review of a pull request's commit.
  package func hasReview(of pullRequest: PullRequestKey, sha: String) async throws -> Bool {
    try await pool.query(Self.commitHasReview, Self.parameters(of: pullRequest) + [sha])[0]
      .decode("is_there", as: Bool.self)
  }
}

extension PlatformTask {
  /// - Throws: if the kind or the payload is one that this version does not know.
  init(_ row: PostgresRow) throws {
    let payload = Data(try row.decode("payload", as: String.self).utf8)
    kind =
      switch try row.decode("kind", as: String.self) {
      case "review": .review(try JSONCoding.decode(ReviewRequest.self, from: payload))
      case "check": .check(try JSONCoding.decode(Check.self, from: payload))
      case "paths": .paths(try JSONCoding.decode(PathsRequest.self, from: payload))
      case let other: throw UnknownValue(column: "kind", value: other)
      }
    id = try row.decode("id", as: Int64.self)
    version = Int(try row.decode("version", as: Int32.self))
    tries = Int(try row.decode("tries", as: Int32.self))
    age = .seconds(saturating: try row.decode("age", as: Double.self))
    owner = Owner(
      type: try row.choice("owner_type", as: Owner.Kind.self), id: try row.decode("owner_id", as: String.self))
    platform = try row.choice("platform", as: Platform.self)
    host = try row.decode("host", as: String.self)
    integration = Integration(
      id: try row.decode("integration_id", as: UUID.self),
      installationId: try row.optional("installation_id", as: String.self),
      instanceUrl: try row.optional("instance_url", as: String.self),
      tokenCiphertext: try row.optional("token_ciphertext", as: [UInt8].self),
      metadata: try row.optional("metadata", as: String.self),
      isRevoked: try row.decode("is_revoked", as: Bool.self))
    trace =
      try row.optional("traceparent", as: String.self).flatMap { TraceContext(traceparent: $0) } ?? TraceContext()
  }
}
