package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// One thing that `baton catch-up` looks through, and how far it has come.
package struct CatchUpLook: Sendable, Equatable {
  /// What is looked through.
  package enum Kind: String, Sendable {
    /// What GitHub could not deliver to the app.
    case deliveries
    /// The open pull requests of an installation of GitHub.
    case installation
    /// The open merge requests of a project of GitLab.
    case project
  }

  package var kind: Kind
  package var integrationID: UUID
  package var subject: String
  /// Where it goes on; nil at the beginning.
  package var position: String?
  package var doneUpTo: Timestamp?
  package var begunAt: Timestamp?
  /// How far back the first look goes, if the database says so.
  package var since: Timestamp?
  /// nil for ``Kind/deliveries``.
  package var owner: Owner?
  package var integration: Integration?
  /// The address of a merge request of the project, which says at which GitLab it is.
  package var url: String?

  /// Who is asked: a GitLab's address, or the platform's name. As `take_look` has it.
  package var host: String { integration?.instanceUrl ?? (kind == .project ? Platform.gitlab : .github).rawValue }
}

/// How far a look has come.
package struct CatchUpProgress: Sendable, Equatable {
  package var position: String?
  package var doneUpTo: Timestamp?
  package var begunAt: Timestamp?
  /// Until the next look.
  package var wait: Duration
  package var isFinished: Bool
  package var error: String?
  /// Whether it met a platform that does not answer, or not as it should.
  package var isUnanswered: Bool

  package init(
    position: String?, doneUpTo: Timestamp?, begunAt: Timestamp?, wait: Duration, isFinished: Bool,
    error: String? = nil, isUnanswered: Bool = false
  ) {
    self.position = position
    self.doneUpTo = doneUpTo
    self.begunAt = begunAt
    self.wait = wait
    self.isFinished = isFinished
    self.error = error
    self.isUnanswered = isUnanswered
  }
}

/// A pull request at a commit, as a list names it.
package struct ListedCommit: Sendable, Hashable {
  package var repository: String
  package var number: Int
  package var sha: String
  /// The pull request's own time; nil if it cannot be read.
  package var updatedAt: Timestamp?

  package init(repository: String, number: Int, sha: String, updatedAt: Timestamp?) {
    self.repository = repository
    self.number = number
    self.sha = sha
    self.updatedAt = updatedAt
  }
}

extension ReviewStore {
  static let catchUpStatements: [PostgresStatement] = [
    planCatchUp, catchUpSubjects, takeLook, hastenCatchUp, settleLook, missedCommits, countCatchUp,
  ]

  static let planCatchUp = PostgresStatement(
    "plan_catch_up",
    """
    /* baton:plan_catch_up */
    INSERT INTO baton_catch_up (kind, integration_id)
    SELECT 'installation', i.id
      FROM platform_integrations i
     WHERE i.platform = 'github' AND i.installation_id IS NOT NULL AND i.revoked_at IS NULL AND $1
    UNION ALL
    SELECT 'deliveries', '00000000-0000-0000-0000-000000000000'::uuid WHERE $1
    ON CONFLICT DO NOTHING
    """)

  /// Notes what there is to look through.
  /// - Parameter hasApp: whether this process can call GitHub as the app.
  package func planCatchUp(hasApp: Bool) async throws {
    _ = try await pool.query(Self.planCatchUp, [hasApp])
  }

  static let catchUpSubjects = PostgresStatement(
    "catch_up_subjects",
    """
    /* baton:catch_up_subjects */
    SELECT count(*) FILTER (WHERE platform = 'github' AND installation_id IS NOT NULL)::int AS installations,
           COALESCE(bool_or(platform = 'gitlab'), false) AS has_gitlab
      FROM platform_integrations
     WHERE revoked_at IS NULL
    """)

  /// What the integrations name to look through: how many installations of GitHub, and whether anything at GitLab.
  package func catchUpSubjects() async throws -> (installations: Int, hasGitLab: Bool) {
    let row = try await pool.query(Self.catchUpSubjects, [])[0]
    return (Int(try row.decode("installations", as: Int32.self)), try row.decode("has_gitlab", as: Bool.self))
  }

  static let takeLook = PostgresStatement(
    "take_look",
    """
    /* baton:take_look */
    WITH next AS MATERIALIZED (
      SELECT c.kind, c.integration_id, c.subject
        FROM baton_catch_up c
        LEFT JOIN platform_integrations i ON i.id = c.integration_id
       WHERE c.due_at <= now()
         AND CASE WHEN c.kind = 'deliveries' THEN $1 WHEN c.kind = 'installation' THEN $1 AND i.revoked_at IS NULL
                  ELSE i.revoked_at IS NULL END
         AND (c.kind = 'deliveries' OR i.id IS NOT NULL)
         AND COALESCE(i.instance_url, i.platform, 'github') <> ALL ($2::text[])
       ORDER BY c.due_at, c.kind, c.integration_id
       LIMIT 1
         FOR UPDATE OF c SKIP LOCKED
    ),
    mine AS (
      UPDATE baton_catch_up c
         -- If this process dies, another one goes on from the same position.
         SET due_at = now() + interval '5 minutes'
        FROM next n
       WHERE c.kind = n.kind AND c.integration_id = n.integration_id AND c.subject = n.subject
      RETURNING c.*
    )
    SELECT m.kind, m.integration_id, m.subject, m.position, m.done_up_to, m.begun_at, m.since, i.owner_type, i.owner_id,
           i.installation_id, i.instance_url, i.token_ciphertext, i.metadata::text AS metadata,
           CASE WHEN m.kind = 'project' THEN (
             SELECT r.pr_url FROM code_reviews r
              -- Not every text of digits is a bigint: a row that cannot be read must not stop all looks.
              WHERE r.platform_repository_id = CASE WHEN m.subject ~ '^[0-9]{1,18}$' THEN m.subject::bigint END
                AND r.owner_type = i.owner_type AND r.owner_id = i.owner_id
                AND r.platform = 'gitlab'
                -- Its token goes to this address: another instance has other projects with the same numbers.
                AND r.platform_integration_id = m.integration_id
              -- The newest merge request, which the index has last.
              ORDER BY r.pr_number DESC
              LIMIT 1) END AS url
      FROM mine m
      LEFT JOIN platform_integrations i ON i.id = m.integration_id
    """)

  /// Takes what has waited longest of what is due; no other process takes it for five minutes.
  /// - Parameters:
  ///   - hasApp: whether this process can call GitHub as the app.
  ///   - hosts: what is looked at there is left, see ``CatchUpLook/host``.
  package func takeLook(hasApp: Bool, without hosts: [String] = []) async throws -> CatchUpLook? {
    try await pool.query(Self.takeLook, [hasApp, hosts]).first.map { try CatchUpLook($0) }
  }

  static let hastenCatchUp = PostgresStatement(
    "hasten_catch_up",
    """
    /* baton:hasten_catch_up */
    UPDATE baton_catch_up
       SET due_at = now()
     WHERE due_at > now() AND position IS NULL AND last_error IS NULL AND finished_at IS NOT NULL
    """)

  /// Makes everything due, but for what waits for a platform: for one pass that is to look through everything.
  package func hastenCatchUp() async throws { _ = try await pool.query(Self.hastenCatchUp, []) }

  static let settleLook = PostgresStatement(
    "settle_look",
    """
    /* baton:settle_look */
    UPDATE baton_catch_up
       SET position = $4, done_up_to = $5, begun_at = $6, due_at = now() + make_interval(secs => $7),
           finished_at = CASE WHEN $8 THEN now() ELSE finished_at END, last_error = $9
     WHERE kind = $1 AND integration_id = $2 AND subject = $3
    """)

  /// Records how far a look has come.
  package func settle(_ look: CatchUpLook, _ progress: CatchUpProgress) async throws {
    _ = try await pool.query(
      Self.settleLook,
      [
        look.kind.rawValue, look.integrationID, look.subject, progress.position, progress.doneUpTo?.instant,
        progress.begunAt?.instant, max(progress.wait, .zero).inSeconds, progress.isFinished, progress.error?.storable,
      ])
  }

  static let missedCommits = PostgresStatement(
    "missed_commits",
    """
    /* baton:missed_commits */
    SELECT w.place
      FROM unnest($4::text[], $5::int[], $6::text[], $7::timestamptz[])
           WITH ORDINALITY AS w (repository, number, sha, updated_at, place)
     WHERE NOT EXISTS (
       SELECT 1 FROM code_reviews r
        WHERE r.pr_number = w.number AND lower(r.repo_full_name) = lower(w.repository) AND r.head_sha = w.sha
          AND r.owner_id = $2 AND r.owner_type = $1 AND r.platform = $3
          -- What ended because it was not wanted at the time is wanted now: the pull request is open, and at this commit.
          AND (r.status NOT IN ('failed', 'cancelled') OR r.error_code IS NULL
            OR r.error_code NOT IN ('integration_revoked', 'superseded', 'pull_request_closed', 'repository_removed')))
       -- A delivery to this integration has said where the pull request stood at this time, or later, and was judged: its outcome stands. Other
       -- deliveries that name the commit, of a label or a comment, say nothing about it; nor do those to another owner, or of another instance.
       AND NOT EXISTS (
         SELECT 1 FROM webhook_deliveries d
          WHERE lower(d.about_repository) = lower(w.repository) AND d.about_number = w.number AND d.about_sha = w.sha
            AND d.platform = $3 AND d.integration_id = $8
            AND (d.processed_at IS NULL
              OR d.pr_updated_at >= w.updated_at AND d.outcome NOT LIKE 'pending: %'
                AND (d.pr_updated_at > w.updated_at OR d.outcome NOT LIKE 'closed: %')))
     ORDER BY w.place
    """)

  /// Those of an owner's pull requests whose commit has neither a review nor a delivery that says why not.
  /// - Parameters:
  ///   - commits: as the platform lists them.
  ///   - owner: of the reviews.
  ///   - platform: where they are.
  ///   - integration: to which the deliveries came.
  package func missed(
    _ commits: [ListedCommit], of owner: Owner, _ platform: Platform, integration: UUID
  ) async throws -> [ListedCommit] {
    guard !commits.isEmpty else { return [] }
    let rows = try await pool.query(
      Self.missedCommits,
      [
        owner.type.rawValue, owner.id, platform.rawValue, commits.map(\.repository),
        commits.map { Int32(clamping: $0.number) }, commits.map(\.sha),
        commits.map { ($0.updatedAt ?? .negativeInfinity).instant }, integration,
      ])
    return try rows.map { commits[Int(try $0.decode("place", as: Int64.self)) - 1] }
  }

  static let countCatchUp = PostgresStatement(
    "count_catch_up",
    """
    /* baton:count_catch_up */
    INSERT INTO baton_counts AS c (what, label, count)
    SELECT 'catch_up', t.finding, t.count FROM unnest($1::text[], $2::bigint[]) AS t (finding, count) ORDER BY t.finding
    ON CONFLICT (what, label, shard) DO UPDATE SET count = c.count + EXCLUDED.count
    """)

  /// Adds what was found, for the metrics of every process.
  package func countCatchUp(_ findings: [String: Int]) async throws {
    let ordered = findings.filter { $0.value > 0 }.sorted { $0.key < $1.key }
    guard !ordered.isEmpty else { return }
    _ = try await pool.query(Self.countCatchUp, [ordered.map(\.key), ordered.map { Int64($0.value) }])
  }
}

extension CatchUpLook {
  init(_ row: PostgresRow) throws {
    kind = try row.choice("kind", as: Kind.self)
    integrationID = try row.decode("integration_id", as: UUID.self)
    subject = try row.decode("subject", as: String.self)
    position = try row.optional("position", as: String.self)
    doneUpTo = try row.optionalTimestamp("done_up_to")
    begunAt = try row.optionalTimestamp("begun_at")
    since = try row.optionalTimestamp("since")
    url = try row.optional("url", as: String.self)
    owner = try row.optional("owner_id", as: String.self).map { id in
      Owner(type: try row.choice("owner_type", as: Owner.Kind.self), id: id)
    }
    let id = integrationID
    integration = try owner.map { _ in
      Integration(
        id: id, installationId: try row.optional("installation_id", as: String.self),
        instanceUrl: try row.optional("instance_url", as: String.self),
        tokenCiphertext: try row.optional("token_ciphertext", as: [UInt8].self),
        metadata: try row.optional("metadata", as: String.self), isRevoked: false)
    }
  }
}
