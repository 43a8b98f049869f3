internal import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// An entry of the feedback's outbox that this process delivers now.
package struct FeedbackEntry: Sendable, Equatable {
  package var feedback: PullRequestFeedback
  /// What was taken: a change since then leaves the entry due.
  package var version: Int
  /// For how long it could not be delivered.
  package var age: Duration
  /// The review's.
  package var trace: TraceContext
  /// Where it is delivered: a GitLab's address, or the platform's name.
  package var host: String
}

extension ReviewStore {
  static let feedbackStatements: [PostgresStatement] = [
    takeFeedback, recordCheckRun, feedbackTold, feedbackDelivered, feedbackFailed,
  ]

  static let takeFeedback = PostgresStatement(
    "take_feedback",
    """
    /* baton:take_feedback */
    WITH RECURSIVE \(Fragment.taken("f.review_id, f.subject", from: "baton_feedback")),
    mine AS (
      UPDATE baton_feedback f
         -- If the sender dies, the entry comes due again by itself. Longer than its calls take, but for the renewal of a token
         -- by a slow GitLab; sending it twice changes nothing.
         SET tries = f.tries + 1, due_at = now() + interval '60 seconds'
        FROM taken t
       WHERE f.review_id = t.review_id AND f.subject = t.subject
      RETURNING f.*
    )
    SELECT m.review_id, m.subject, COALESCE(NULLIF(m.host, ''), i.instance_url, r.platform) AS host, m.version, m.tries, m.told_attempt, m.told_status, m.check_run_id,
           \(Fragment.seconds(from: "m.due_since")) AS age, r.attempt, r.status, r.platform,
           r.platform_project_id, r.repo_full_name, r.pr_number, r.pr_url, r.head_sha, r.error_code, r.gate_result, r.traceparent,
           i.id AS integration_id, i.installation_id, i.instance_url, i.token_ciphertext,
           i.metadata::text AS metadata, i.id IS NULL OR i.revoked_at IS NOT NULL AS is_revoked
      FROM mine m
      JOIN code_reviews r ON r.id = m.review_id
      LEFT JOIN platform_integrations i ON \(Fragment.isIntegration("i", of: "r"))
    """)

  /// Takes entries that are due, with their reviews as they are now; one that is not settled in a minute comes due again.
  /// - Parameters:
  ///   - limit: how many at most.
  ///   - hosts: whose entries are left, see ``FeedbackEntry/host``.
  package func takeFeedback(limit: Int, without hosts: [String] = []) async throws -> [FeedbackEntry] {
    decodeEach(try await pool.query(Self.takeFeedback, [Int32(limit), hosts]), "feedback") { try FeedbackEntry($0) }
  }

  static let recordCheckRun = PostgresStatement(
    "record_check_run",
    """
    /* baton:record_check_run */
    UPDATE code_reviews SET check_run_id = $3
     WHERE id = $1 AND attempt = $2 AND check_run_id IS DISTINCT FROM $3
    """)

  static let feedbackTold = PostgresStatement(
    "feedback_told",
    """
    /* baton:feedback_told */
    UPDATE baton_feedback
       SET due_at = CASE WHEN version <> $3 THEN now() END,
           tries = 0, told_attempt = $4, told_status = $5, check_run_id = $6, last_error = NULL
     WHERE review_id = $1 AND subject = $2
    """)

  static let feedbackDelivered = PostgresStatement(
    "feedback_delivered",
    """
    /* baton:feedback_delivered */
    DELETE FROM baton_feedback WHERE review_id = $1 AND subject = $2 AND version = $3
    """)

  /// Records that an entry was delivered as it was taken; if the review has moved on since, it stays due.
  package func feedbackTold(_ entry: FeedbackEntry, checkRunID: Int64?) async throws {
    let feedback = entry.feedback
    let key: [any PostgresEncodable] = [feedback.reviewID, feedback.subject.rawValue, Int32(entry.version)]
    guard feedback.subject == .gate else {
      _ = try await pool.query(Self.feedbackDelivered, key)
      return
    }
    // The review first, as its transitions do it: they write the entry while they hold the review.
    _ = try await pool.pipeline([
      (Self.recordCheckRun, [feedback.reviewID, Int32(feedback.attempt), checkRunID]),
      (Self.feedbackTold, key + [Int32(feedback.attempt), feedback.status.rawValue, checkRunID]),
    ])
  }

  static let feedbackFailed = PostgresStatement(
    "feedback_failed",
    """
    /* baton:feedback_failed */
    UPDATE baton_feedback
       SET last_error = $4,
           given_up_at = CASE WHEN $5::float8 IS NULL AND version = $3 THEN now() END,
           due_at = CASE WHEN version <> $3 THEN now() ELSE now() + make_interval(secs => $5) END
     WHERE review_id = $1 AND subject = $2
    """)

  /// Notes why an entry could not be delivered.
  /// - Parameters:
  ///   - entry: as it was taken.
  ///   - delay: until it is tried again; nil gives it up, until the review changes once more. The record stays.
  package func feedbackFailed(_ entry: FeedbackEntry, error: String, retryAfter delay: Duration?) async throws {
    _ = try await pool.query(
      Self.feedbackFailed,
      [
        entry.feedback.reviewID, entry.feedback.subject.rawValue, Int32(entry.version), error,
        delay.map { max($0, .zero).inSeconds },
      ])
  }
}

extension FeedbackEntry {
  init(_ row: PostgresRow) throws {
    let integration = Integration(
      id: try row.optional("integration_id", as: UUID.self) ?? UUID(),
      installationId: try row.optional("installation_id", as: String.self),
      instanceUrl: try row.optional("instance_url", as: String.self),
      tokenCiphertext: try row.optional("token_ciphertext", as: [UInt8].self),
      metadata: try row.optional("metadata", as: String.self),
      isRevoked: try row.decode("is_revoked", as: Bool.self))
    version = Int(try row.decode("version", as: Int32.self))
    age = .seconds(saturating: try row.decode("age", as: Double.self))
    let id = try row.decode("review_id", as: UUID.self)
    trace = try row.trace(of: id)
    host = try row.decode("host", as: String.self)
    feedback = PullRequestFeedback(
      reviewID: id,
      subject: try row.choice("subject", as: PullRequestFeedback.Subject.self),
      attempt: Int(try row.decode("attempt", as: Int32.self)),
      status: try row.choice("status", as: ReviewStatus.self), platform: try row.choice("platform", as: Platform.self),
      platformProjectId: try row.optional("platform_project_id", as: Int64.self),
      repoFullName: try row.decode("repo_full_name", as: String.self),
      prNumber: Int(try row.decode("pr_number", as: Int32.self)), prUrl: try row.decode("pr_url", as: String.self),
      headSha: try row.decode("head_sha", as: String.self), errorCode: try row.optional("error_code", as: String.self),
      gateResult: try row.optional("gate_result", as: String.self), integration: integration,
      checkRunID: try row.optional("check_run_id", as: Int64.self),
      toldAttempt: try row.optional("told_attempt", as: Int32.self).map { Int($0) },
      toldStatus: try row.optional("told_status", as: String.self).flatMap { ReviewStatus(rawValue: $0) },
      tries: Int(try row.decode("tries", as: Int32.self)))
  }
}
