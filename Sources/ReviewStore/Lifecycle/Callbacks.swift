package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// What a worker reports about a run.
package struct RunReport: Sendable, Equatable {
  package var status: ReviewStatus
  package var attempt: Int?
  package var sessionId: String?
  package var cliSessionId: String?
  package var errorMessage: String?
  package var model: String?
  package var totalTokensIn: Int64?
  package var totalTokensOut: Int64?
  package var totalCostMicrousd: Int64?
  /// `pass` or `fail`: whether the agent's findings let the pull request pass.
  package var gateResult: String?

  package init(
    status: ReviewStatus, attempt: Int? = nil, sessionId: String? = nil, cliSessionId: String? = nil,
    errorMessage: String? = nil, model: String? = nil, totalTokensIn: Int64? = nil, totalTokensOut: Int64? = nil,
    totalCostMicrousd: Int64? = nil, gateResult: String? = nil
  ) {
    self.status = status
    self.attempt = attempt
    self.sessionId = sessionId
    self.cliSessionId = cliSessionId
    self.errorMessage = errorMessage
    self.model = model
    self.totalTokensIn = totalTokensIn
    self.totalTokensOut = totalTokensOut
    self.totalCostMicrousd = totalCostMicrousd
    self.gateResult = gateResult
  }

  /// The longest session id or model name, in bytes: sessions are a key of an index.
  package static let nameByteCountMax = 512

  /// Whether a text may be a session id or the name of a model.
  package static func isName(_ text: String) -> Bool { text.utf8.count <= nameByteCountMax && !text.utf8.contains(0) }

  /// Whether a number may be a count of tokens or a cost.
  package static func isAmount(_ number: Int64) -> Bool { number >= 0 }
}

/// What a report did.
package enum ReportAnswer: Sendable, Equatable {
  case applied
  /// Another attempt or session, or possibly so, or the row is pending or has ended: left as it is.
  case ignored(ReviewStatus)
  case unknownReview
}

extension ReviewStore {
  static let callbackStatements: [PostgresStatement] = [report, traceOfReview]

  /// One conditional statement: a row that is pending or has ended stays as it is, and so does one that the report is not about, or may
  /// not be about.
  static let report = PostgresStatement(
    "report",
    """
    /* baton:report */
    WITH \(Fragment.heldUnlessLocked),
    applied AS (
      UPDATE code_reviews r
         SET status = $2,
             status_reason = COALESCE($6::text, 'reported by the worker'),
             session_id = COALESCE($4::text, r.session_id),
             cli_session_id = COALESCE($5, r.cli_session_id),
             error_code = CASE $2 WHEN 'failed' THEN 'agent_failed' WHEN 'cancelled' THEN r.error_code END,
             error_message = CASE WHEN $2 IN ('failed', 'cancelled') THEN COALESCE($6, r.error_message) END,
             model = COALESCE($7, r.model),
             total_tokens_in = COALESCE($8, r.total_tokens_in),
             total_tokens_out = COALESCE($9, r.total_tokens_out),
             total_cost_microusd = COALESCE($10, r.total_cost_microusd),
             gate_result = COALESCE($11, r.gate_result),
             -- The worker runs it, so it was dispatched, whether or not the consumer has recorded it.
             dispatched_at = COALESCE(r.dispatched_at, now()),
             lease_owner = NULL,
             lease_expires_at = NULL,
             updated_at = now()
        FROM held h
       WHERE r.id = h.id AND \(Fragment.hasStatus("'queued'", "'running'"))
         AND CASE
               WHEN $3::int IS NOT NULL THEN r.attempt = $3
               -- Without an attempt the session decides: the row's, or while it has none, one that no earlier attempt had. A callback may
               -- come before its dispatch is recorded.
               WHEN $4::text IS NOT NULL THEN COALESCE(r.session_id = $4, $4 <> ALL (r.past_session_ids))
               -- With neither, it may be about an earlier attempt, unless there is none, or this one is known to be the worker's.
               ELSE r.attempt = 1 OR r.dispatched_at IS NOT NULL
             END
      RETURNING r.id
    )
    SELECT r.status, r.traceparent, EXISTS (SELECT 1 FROM applied) AS is_applied, \(Fragment.isLocked)
      FROM (SELECT) one
      LEFT JOIN code_reviews r ON r.id = $1
    """)

  static let traceOfReview = PostgresStatement(
    "trace", "/* baton:trace */ SELECT r.traceparent FROM code_reviews r WHERE r.id = $1")

  /// A review's trace; nil if there is no such review.
  package func trace(of id: UUID) async throws -> TraceContext? {
    try await pool.query(Self.traceOfReview, [id]).first.map { try $0.trace(of: id) }
  }

  /// Applies what a worker reports: running, or an end. Anything else changes nothing.
  /// - Returns: also the review's trace, for the caller's log.
  /// - Throws: ``RowLocked``: the worker has to report it again; `PostgresError`.
  package func apply(_ report: RunReport, to id: UUID) async throws -> (answer: ReportAnswer, trace: TraceContext) {
    guard report.status == .running || report.status.isTerminal else {
      return (.ignored(report.status), TraceContext(of: id))
    }
    let row = try await onceUnlocked(
      Self.report,
      [
        id, report.status.rawValue, report.attempt.map { Int32(clamping: $0) }, report.sessionId?.storable,
        report.cliSessionId?.storable, report.errorMessage?.storable, report.model?.storable,
        report.totalTokensIn, report.totalTokensOut, report.totalCostMicrousd, report.gateResult,
      ])
    guard try row.optional("status", as: String.self) != nil else {
      return (.unknownReview, TraceContext(of: id))
    }
    let trace = try row.trace(of: id)
    if try row.decode("is_applied", as: Bool.self) { return (.applied, trace) }
    return (.ignored(try row.choice("status", as: ReviewStatus.self)), trace)
  }
}
