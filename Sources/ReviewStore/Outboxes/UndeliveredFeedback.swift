package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// Feedback on one review that could not be delivered yet, or was given up.
package struct UndeliveredFeedback: Sendable, Equatable {
  package var subject: PullRequestFeedback.Subject
  /// Since when the pull request should show it.
  package var dueSince: Timestamp
  package var tries: Int
  package var lastError: String
  /// When it is tried again; nil if it was given up.
  package var nextTry: Timestamp?
  package var givenUpAt: Timestamp?

  package init(
    subject: PullRequestFeedback.Subject, dueSince: Timestamp, tries: Int, lastError: String, nextTry: Timestamp?,
    givenUpAt: Timestamp?
  ) {
    self.subject = subject
    self.dueSince = dueSince
    self.tries = tries
    self.lastError = lastError
    self.nextTry = nextTry
    self.givenUpAt = givenUpAt
  }
}

/// The reviews whose feedback was given up in the last 24 hours.
package struct GivenUpFeedback: Sendable, Equatable {
  package var reviewCount: Int
  /// Of the newest.
  package var lastAt: Timestamp
  /// The newest one's, at most 300 characters.
  package var lastError: String?
  /// The newest few.
  package var examples: [UUID]

  package init(reviewCount: Int, lastAt: Timestamp, lastError: String?, examples: [UUID]) {
    self.reviewCount = reviewCount
    self.lastAt = lastAt
    self.lastError = lastError
    self.examples = examples
  }
}

extension ReviewStore {
  static let undeliveredFeedbackStatements: [PostgresStatement] = [undeliveredFeedback, givenUpFeedback]

  static let undeliveredFeedback = PostgresStatement(
    "undelivered_feedback",
    """
    /* baton:undelivered_feedback */
    SELECT f.subject, f.due_since, f.tries, f.last_error, f.due_at, f.given_up_at
      FROM baton_feedback f
     WHERE f.review_id = $1 AND f.last_error IS NOT NULL
     ORDER BY f.subject
    """)

  /// The feedback that could not be delivered to the review's pull request so far.
  package func undeliveredFeedback(of id: UUID) async throws -> [UndeliveredFeedback] {
    try await pool.query(Self.undeliveredFeedback, [id]).map { row in
      UndeliveredFeedback(
        subject: try row.choice("subject", as: PullRequestFeedback.Subject.self),
        dueSince: try row.timestamp("due_since"), tries: Int(try row.decode("tries", as: Int32.self)),
        lastError: try row.decode("last_error", as: String.self), nextTry: try row.optionalTimestamp("due_at"),
        givenUpAt: try row.optionalTimestamp("given_up_at"))
    }
  }

  /// At most this many of the newest entries are looked at.
  package static let givenUpCountMax = 1_000

  static let givenUpFeedback = PostgresStatement(
    "given_up_feedback",
    """
    /* baton:given_up_feedback */
    SELECT count(*) AS reviews, max(g.at) AS last_at, (array_agg(g.error ORDER BY g.at DESC, g.review_id))[1] AS last_error,
           (array_agg(g.review_id ORDER BY g.at DESC, g.review_id))[1:3] AS examples
      FROM (SELECT f.review_id, max(f.given_up_at) AS at,
                   (array_agg(left(f.last_error, 300) ORDER BY f.given_up_at DESC))[1] AS error
              FROM (SELECT *
                      FROM baton_feedback
                     WHERE given_up_at > now() - interval '24 hours'
                     ORDER BY given_up_at DESC
                     LIMIT \(givenUpCountMax)) f
             GROUP BY f.review_id) g
    HAVING count(*) > 0
    """)

  /// The feedback that was given up in the last 24 hours; nil if there is none.
  package func givenUpFeedback() async throws -> GivenUpFeedback? {
    try await pool.query(Self.givenUpFeedback, []).first.map { row in
      GivenUpFeedback(
        reviewCount: Int(try row.decode("reviews", as: Int64.self)), lastAt: try row.timestamp("last_at"),
        lastError: try row.optional("last_error", as: String.self),
        examples: try row.decode("examples", as: [UUID].self))
    }
  }
}
