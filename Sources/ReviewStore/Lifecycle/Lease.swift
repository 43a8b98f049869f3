package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// One lease of a review. The writes of its holder repeat it, so that they change nothing once the lease is another one. Only the record of a
/// dispatch (``DispatchRecord``) repeats the holder and the attempt alone: the worker has the review, whichever lease was its last.
/// Without its end a second lease of the same process would be taken for the first.
package struct Lease: Sendable, Hashable {
  package var reviewID: UUID
  package var attempt: Int
  package var holder: Holder.ID
  /// `lease_expires_at`, by the database's clock; no two leases of a review end at the same time.
  package var until: Timestamp

  package init(_ ticket: Ticket, holder: Holder.ID, until: Timestamp) {
    reviewID = ticket.reviewID
    attempt = ticket.attempt
    self.holder = holder
    self.until = until
  }
}

/// The outcome of a ticket's lease.
package enum LeaseVerdict: Sendable, Equatable {
  /// This process may prepare and dispatch it now.
  indirect case leased(LeasedReview)
  /// This process has the lease, but its version cannot read the row, for this reason.
  /// - Parameter mayBeRunning: whether an earlier start may have reached the worker.
  indirect case unreadable(Lease, String, mayBeRunning: Bool)
  /// The dispatch has succeeded already: acknowledge.
  case dispatched
  /// No review has this id: poison.
  case unknown
  /// The row is pending, has ended, waits for its backoff, or has another attempt: reject, the row says what is next.
  case notDispatchable(String)
  /// This very process has it, by this lease: the attempt in flight adopts the delivery.
  indirect case mine(Lease)
  /// Another process has it, and is not known to be dead; or its holder is dead, and the reaper is to fail the review, as it has cost too many
  /// holders. Hold the delivery and look again.
  case leasedElsewhere
  /// A transaction that is not Baton's has locked the row: hold the delivery and look again.
  case lockedByOther
}

extension ReviewStore {
  static let leaseStatements: [PostgresStatement] = [leaseTickets, stillLeased, isolate, endIsolation]

  /// Takes the leases of a batch of tickets, and reads what their payloads need; the row decides, not the message.
  ///
  /// It never waits for a row's lock: one row that a person in psql has locked would hold up its whole batch. Of a configuration it
  /// reads no more than may be stored.
  ///
  /// As the publication and the record of a dispatch, it changes no column that an index reads, `updated_at` among them: Postgres then writes the
  /// row in place, and no index.
  static let leaseTickets = PostgresStatement(
    "lease",
    """
    /* baton:lease */
    WITH ticket AS MATERIALIZED (
      SELECT t.id, t.attempt, t.n, row_number() OVER (PARTITION BY t.id ORDER BY t.n) AS occurrence
        FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS t (id, attempt, n)
    ),
    locked_rows AS MATERIALIZED (
      -- By id alone: any other condition could make the planner choose a partial index that has to be read whole.
      SELECT r.id, r.attempt, r.status, r.dispatched_at, r.lease_owner, r.lease_expires_at, r.lease_losses
        FROM code_reviews r
       WHERE r.id = ANY ($1::uuid[])
       ORDER BY r.id
         FOR NO KEY UPDATE OF r SKIP LOCKED
    ),
    verdict AS MATERIALIZED (
      SELECT t.n, t.id, t.occurrence,
             CASE
               WHEN h.id IS NULL THEN
                 CASE WHEN \(Fragment.exists("t.id")) THEN 'locked' ELSE 'unknown' END
               WHEN h.attempt <> t.attempt THEN 'outdated'
               WHEN h.dispatched_at IS NOT NULL OR h.status IN ('running', 'completed') THEN 'dispatched'
               WHEN h.status <> 'queued' THEN h.status
               WHEN h.lease_owner IS NULL AND h.lease_expires_at > now() THEN 'waiting'
               WHEN h.lease_owner IS NULL THEN 'free'
               WHEN NOT \(Fragment.leaseHasEnded("h", holder: "o", heartbeatTimeout: "$5")) THEN
                 CASE WHEN h.lease_owner = $3 THEN 'mine' ELSE 'leased_elsewhere' END
               WHEN \(Fragment.isCharged("h", holder: "o", heartbeatTimeout: "$5")) AND h.lease_losses + 1 >= $6
                 THEN 'leased_elsewhere'  -- the reaper ends it
               ELSE 'free'
             END AS verdict,
             h.lease_expires_at,
             h.lease_owner IS NOT NULL AND \(Fragment.isCharged("h", holder: "o", heartbeatTimeout: "$5")) AS is_lost
        FROM ticket t
        LEFT JOIN locked_rows h ON h.id = t.id
        LEFT JOIN baton_holders o ON o.id = h.lease_owner
    ),
    leased AS (
      UPDATE code_reviews r
         SET lease_owner = $3,
             lease_expires_at = now() + make_interval(secs => $4),
             lease_losses = r.lease_losses + v.is_lost::int,
             -- Its last holder may have called the worker.
             unclear_starts = GREATEST(r.unclear_starts, (r.lease_owner IS NOT NULL)::int),
             published_at = COALESCE(r.published_at, now())
        FROM verdict v
       WHERE r.id = v.id AND v.occurrence = 1 AND v.verdict = 'free'
      RETURNING v.n, r.id, r.attempt, r.lease_expires_at, r.owner_type, r.owner_id, r.user_id, r.platform, r.platform_integration_id,
                r.platform_project_id, r.platform_repository_id, r.repo_full_name, r.pr_number, r.pr_url, r.pr_title,
                r.pr_author, r.base_ref,
                r.head_ref, r.head_sha, r.previous_session_id, r.claimed_at, r.dispatch_failures, r.lease_losses,
                r.unclear_starts
    )
    -- In the order in which `LeaseVerdict` and `LeasedReview` read them.
    SELECT CASE WHEN v.verdict = 'free' AND v.occurrence > 1 THEN 'mine' ELSE v.verdict END AS verdict,
           l.id, l.attempt, l.owner_type, l.owner_id, l.user_id, l.platform, l.platform_integration_id, l.platform_project_id,
           l.repo_full_name, l.pr_number, l.pr_url, l.pr_title, l.pr_author, l.base_ref, l.head_ref, l.head_sha,
           CASE WHEN p.session_id IS NOT NULL OR NOT \(Fragment.isForeignSession("l"))
                THEN COALESCE(l.previous_session_id, p.session_id) END AS previous_session,
           p.head_sha AS previous_head_sha, l.claimed_at, now() AS leased_at,
           CASE WHEN v.verdict = 'free' THEN now() + make_interval(secs => $4) ELSE v.lease_expires_at END AS leased_until,
           l.dispatch_failures, l.lease_losses, l.unclear_starts,
           \(Fragment.boundedConfig("c")), i.id AS integration_id, i.installation_id, i.instance_url, i.token_ciphertext,
           i.metadata::text AS metadata, i.revoked_at IS NOT NULL AS is_revoked
      FROM verdict v
      -- FULL, though each lease has a verdict: else it would be a nested loop over the whole batch for each of its tickets.
      FULL JOIN leased l ON l.n = v.n
      LEFT JOIN agent_configs c
        ON c.owner_type = l.owner_type AND c.owner_id = l.owner_id AND c.platform = l.platform AND c.is_enabled
      LEFT JOIN platform_integrations i ON \(Fragment.isIntegration("i", of: "l"))
      LEFT JOIN LATERAL (
        -- The review of this pull request that completed last, at another commit; if the row names a session, that session's.
        -- Finds them by the first columns of the unique index: it reads the rows of one pull request, and only the index if there are no
        -- others.
        SELECT p.head_sha, p.session_id
          FROM code_reviews p
         WHERE p.pr_number = l.pr_number AND p.repo_full_name = l.repo_full_name AND p.owner_id = l.owner_id
           AND p.owner_type = l.owner_type AND p.platform = l.platform AND p.head_sha <> l.head_sha
           AND p.status = 'completed'
           -- Another repository may have had the name, or have it at another instance.
           AND (p.platform_repository_id = l.platform_repository_id) IS NOT FALSE
           AND \(Fragment.instance(of: "p")) = \(Fragment.instance(of: "l"))
           AND (l.previous_session_id IS NULL OR p.session_id = l.previous_session_id)
         ORDER BY p.completed_at DESC NULLS LAST
         LIMIT 1
      ) p ON true
     ORDER BY v.n
    """)

  /// Takes the lease of each ticket's review, or says why it cannot be had.
  ///
  /// One statement for the batch. A lease ends when its holder is dead, or after `duration`. A row that cannot be read fails alone.
  /// - Parameters:
  ///   - tickets: of one batch of deliveries.
  ///   - holder: who takes the leases.
  ///   - duration: of each lease: BATON_PREPARE_TIMEOUT.
  ///   - heartbeatTimeout: BATON_LEASE: a holder that is silent for longer is dead.
  ///   - failureMax: BATON_MAX_ATTEMPTS; a review with so many losses (holders that died while they had it) is left to the reaper.
  /// - Returns: a verdict for each ticket, in order.
  /// - Throws: `PostgresError`; if the connection was lost, the leases may have been taken, and run out.
  package func lease(
    _ tickets: [Ticket], by holder: Holder.ID, for duration: Duration, heartbeatTimeout: Duration, failureMax: Int
  ) async throws -> [LeaseVerdict] {
    let rows = try await pool.query(
      Self.leaseTickets,
      [
        tickets.map(\.reviewID), tickets.map { Int32(clamping: $0.attempt) }, holder.text, duration.inSeconds,
        heartbeatTimeout.inSeconds, Int32(failureMax),
      ])
    return try zip(rows, tickets).map { try LeaseVerdict($0, of: $1, holder) }
  }

  static let stillLeased = PostgresStatement(
    "still_leased",
    """
    /* baton:still_leased */
    SELECT r.attempt = t.attempt AND r.status = 'queued' AND r.lease_owner = $3 AND r.lease_expires_at = t.until
      FROM unnest($1::uuid[], $2::int[], $4::timestamptz[]) WITH ORDINALITY AS t (id, attempt, until, n)
      LEFT JOIN code_reviews r ON r.id = t.id
     ORDER BY t.n
    """)

  /// Whether the holder still has each of its leases, and the review is still wanted: asked right before the worker is called.
  package func stillLeased(_ leases: [Lease], by holder: Holder.ID) async throws -> [Bool] {
    try await pool.query(
      Self.stillLeased,
      [
        leases.map(\.reviewID), leases.map { Int32(clamping: $0.attempt) }, holder.text, leases.map(\.until.instant),
      ]
    ).map { try $0.decode(0, as: Bool?.self) ?? false }
  }

  static let isolate = PostgresStatement(
    "isolate",
    """
    /* baton:isolate */
    UPDATE baton_holders h SET isolated = array_append(array_remove(h.isolated, $2), $2) WHERE h.id = $1
    """)

  /// Notes that the holder prepares a review isolated from all others. If it dies meanwhile, only such reviews are charged with its loss.
  package func isolate(_ id: UUID, by holder: Holder.ID) async throws {
    _ = try await pool.query(Self.isolate, [holder.text, id])
  }

  static let endIsolation = PostgresStatement(
    "end_isolation",
    """
    /* baton:end_isolation */
    UPDATE baton_holders h SET isolated = NULLIF(array_remove(h.isolated, $2), '{}') WHERE h.id = $1
    """)

  /// Notes that the holder has prepared a review that it had isolated.
  package func endIsolation(of id: UUID, by holder: Holder.ID) async throws {
    _ = try await pool.query(Self.endIsolation, [holder.text, id])
  }
}

extension LeaseVerdict {
  init(_ row: PostgresRow, of ticket: Ticket, _ holder: Holder.ID) throws {
    func lease() throws -> Lease { Lease(ticket, holder: holder, until: try row.timestamp("leased_until")) }
    var reader = row.reader()
    let verdict = try reader.next(String.self)
    switch verdict {
    case "free":
      do {
        self = .leased(try LeasedReview(&reader))
      } catch {
        // If this number cannot be read either, an earlier start may have reached the worker.
        let starts = try? row.decode("unclear_starts", as: Int32.self)
        self = .unreadable(try lease(), "\(error)", mayBeRunning: starts != 0)
      }
    case "dispatched": self = .dispatched
    case "unknown": self = .unknown
    case "mine": self = .mine(try lease())
    case "leased_elsewhere": self = .leasedElsewhere
    case "locked": self = .lockedByOther
    default: self = .notDispatchable(verdict)
    }
  }
}

extension LeasedReview {
  /// By position: to find each of some thirty columns by its name would take longer than to decode it.
  init(_ row: inout PostgresRow.Reader) throws {
    self.init(
      id: try row.next(), attempt: Int(try row.next(Int32.self)),
      owner: Owner(type: try row.choice(), id: try row.next()), userId: try row.next(),
      platform: try row.choice(), platformIntegrationId: try row.next(), platformProjectId: try row.next(),
      repoFullName: try row.next(), prNumber: Int(try row.next(Int32.self)), prUrl: try row.next(),
      prTitle: try row.next(), prAuthor: try row.next(), baseRef: try row.next(), headRef: try row.next(),
      headSha: try row.next(), previousSessionId: try row.next(), previousHeadSha: try row.next(),
      claimedAt: try row.timestamp(), leasedAt: try row.timestamp(), leasedUntil: try row.timestamp(),
      dispatchFailures: Int(try row.next(Int32.self)), leaseLosses: Int(try row.next(Int32.self)),
      unclearStarts: Int(try row.next(Int32.self)), configuration: try row.next(),
      configurationByteCount: try row.next(Int32?.self).map { Int($0) }, integration: try Integration(leased: &row))
  }
}

extension Integration {
  /// The last columns of a leased row; nil if the review has no integration.
  fileprivate init?(leased row: inout PostgresRow.Reader) throws {
    guard let id = try row.next(UUID?.self) else { return nil }
    self.init(
      id: id, installationId: try row.next(), instanceUrl: try row.next(), tokenCiphertext: try row.next(),
      metadata: try row.next(), isRevoked: try row.next())
  }
}
