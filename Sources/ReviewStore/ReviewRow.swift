internal import FoundationEssentials
internal import PostgresClient
internal import Primitives
internal import Reviews

extension Review {
  /// The columns that ``init(_:)`` reads, of `code_reviews r`.
  ///
  /// A publication and a dispatch write their own times alone, see ``ReviewStore/leaseTickets``; to a reader they are updates.
  static let columns = """
    r.id, r.owner_type, r.owner_id, r.user_id, r.platform, r.platform_integration_id, r.platform_project_id,
    r.platform_repository_id, r.repo_full_name, r.pr_number, r.pr_url, r.pr_title, r.pr_author, r.base_ref, r.head_ref, r.head_sha, r.status,
    r.status_reason, r.priority, r.attempt, r.available_at, r.claimed_at, r.published_at, r.republish_count,
    r.lease_losses, r.lease_owner, r.lease_expires_at, r.dispatch_failures, r.prepared_at, r.dispatched_at, r.session_id,
    r.cli_session_id, r.agent_version, r.previous_session_id, r.error_code, r.error_message, r.started_at,
    r.completed_at, r.created_at,
    GREATEST(r.updated_at, r.published_at, r.prepared_at, r.dispatched_at) AS updated_at, r.model, r.total_tokens_in,
    r.total_tokens_out, r.total_cost_microusd, r.pr_updated_at, r.check_run_id, r.gate_result
    """

  init(_ row: PostgresRow) throws {
    self.init(
      id: try row.decode("id", as: UUID.self), ownerType: try row.choice("owner_type", as: Owner.Kind.self),
      ownerId: try row.decode("owner_id", as: String.self), userId: try row.optional("user_id", as: String.self),
      platform: try row.choice("platform", as: Platform.self),
      platformIntegrationId: try row.optional("platform_integration_id", as: UUID.self),
      platformProjectId: try row.optional("platform_project_id", as: Int64.self),
      platformRepositoryId: try row.optional("platform_repository_id", as: Int64.self),
      repoFullName: try row.decode("repo_full_name", as: String.self),
      prNumber: Int(try row.decode("pr_number", as: Int32.self)), prUrl: try row.decode("pr_url", as: String.self),
      prTitle: try row.decode("pr_title", as: String.self), prAuthor: try row.decode("pr_author", as: String.self),
      baseRef: try row.decode("base_ref", as: String.self), headRef: try row.decode("head_ref", as: String.self),
      headSha: try row.decode("head_sha", as: String.self), status: try row.choice("status", as: ReviewStatus.self),
      statusReason: try row.optional("status_reason", as: String.self),
      priority: Int(try row.decode("priority", as: Int16.self)),
      attempt: Int(try row.decode("attempt", as: Int32.self)),
      availableAt: try row.timestamp("available_at"), claimedAt: try row.optionalTimestamp("claimed_at"),
      publishedAt: try row.optionalTimestamp("published_at"),
      republishCount: Int(try row.decode("republish_count", as: Int32.self)),
      leaseLosses: Int(try row.decode("lease_losses", as: Int32.self)),
      leaseOwner: try row.optional("lease_owner", as: String.self),
      leaseExpiresAt: try row.optionalTimestamp("lease_expires_at"),
      dispatchFailures: Int(try row.decode("dispatch_failures", as: Int32.self)),
      preparedAt: try row.optionalTimestamp("prepared_at"), dispatchedAt: try row.optionalTimestamp("dispatched_at"),
      sessionId: try row.optional("session_id", as: String.self),
      cliSessionId: try row.optional("cli_session_id", as: String.self),
      agentVersion: try row.optional("agent_version", as: String.self),
      previousSessionId: try row.optional("previous_session_id", as: String.self),
      errorCode: try row.optional("error_code", as: String.self),
      errorMessage: try row.optional("error_message", as: String.self),
      startedAt: try row.optionalTimestamp("started_at"), completedAt: try row.optionalTimestamp("completed_at"),
      createdAt: try row.timestamp("created_at"), updatedAt: try row.timestamp("updated_at"),
      model: try row.optional("model", as: String.self),
      totalTokensIn: try row.optional("total_tokens_in", as: Int64.self),
      totalTokensOut: try row.optional("total_tokens_out", as: Int64.self),
      totalCostMicrousd: try row.optional("total_cost_microusd", as: Int64.self),
      prUpdatedAt: try row.optionalTimestamp("pr_updated_at"),
      checkRunId: try row.optional("check_run_id", as: Int64.self),
      gateResult: try row.optional("gate_result", as: String.self))
  }
}
