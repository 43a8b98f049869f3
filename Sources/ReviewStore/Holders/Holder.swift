internal import FoundationEssentials
internal import Logging
package import PostgresClient
package import Primitives
internal import Reviews

/// One start of a process that claims or leases. Its identity is random, so that nothing is mistaken after a restart.
package struct Holder: Sendable {
  /// Stands in `lease_owner` and `claimed_by`.
  package struct ID: Sendable, Hashable, CustomStringConvertible {
    package var text: String
    package init() { text = UUID().uuidString.lowercased() }
    package init(text: String) { self.text = text }
    package var description: String { text }
  }

  /// What a holder says of itself with every heartbeat.
  package struct Report: Sendable, Equatable {
    /// Unsettled deliveries for which no lease was decided yet.
    package var unleasedTickets: Int
    /// Reviews that it prepares or dispatches.
    package var inFlight: Int
    /// When the newest ticket was claimed that came here first and was leased: the queue is first in, first out, so
    /// whatever was published well before it has left the queue.
    package var leasedUpTo: Timestamp?
    /// What it is, and what holds it back.
    package var health = Holder.Health()

    package init(unleasedTickets: Int = 0, inFlight: Int = 0, leasedUpTo: Timestamp? = nil) {
      self.unleasedTickets = unleasedTickets
      self.inFlight = inFlight
      self.leasedUpTo = leasedUpTo
    }
  }

  /// What a heartbeat finds.
  package struct Standing: Sendable, Equatable {
    /// Whether the holder's row was there.
    package var isKnown: Bool
    /// Whether a reaper waits for its answer to a roll call.
    package var isAsked: Bool

    package init(isKnown: Bool, isAsked: Bool) {
      self.isKnown = isKnown
      self.isAsked = isAsked
    }
  }

  package let id: ID
  package let role: String
  package let host: String
  package let processID: Int32

  package init(id: ID = ID(), role: String, host: String, processID: Int32) {
    self.id = id
    self.role = role
    self.host = host
    self.processID = processID
  }
}

/// The advisory lock that was drawn for this sign-on is held by a session that is not Baton's.
package struct HolderLockTaken: Error, CustomStringConvertible {
  package var description: String {
    "the advisory lock of this sign-on is held by another session; the next sign-on draws another lock"
  }
}

/// Another transaction has locked the holder's row.
package struct HolderRowLocked: Error, CustomStringConvertible {
  package var description: String { "another transaction has locked this process's row in baton_holders" }
}

extension ReviewStore {
  static let holderStatements: [PostgresStatement] = [
    correctTimes, endOlderSession, signOn, registerHolder, heartbeat, holderRow, leave,
  ]

  /// Settings of the session that holds a holder's lock, hears the notifications and sends the heartbeats.
  ///
  /// It has to outlive long silences, and to end soon when its peer is gone: Postgres's keepalives release the lock of a host
  /// that was lost without a word. A heartbeat does not wait for the disk, since a lost one does no harm.
  package static let holderSessionSettings = sessionSettings.merging([
    "lock_timeout": "3s",
    "synchronous_commit": "off",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20s",
  ]) { $1 }

  static let correctTimes = PostgresStatement(
    "correct_times",
    """
    /* baton:correct_times */
    UPDATE baton_holders h
       SET heartbeat_at = LEAST(h.heartbeat_at, now()), answering_since = LEAST(h.answering_since, now()),
           lock_free_since = NULL, silent_since = NULL
     WHERE h.id IN (
       -- A failover to a Postgres whose clock is behind: a dead holder would be young until that clock has caught up.
       SELECT b.id
         FROM baton_holders b
        WHERE GREATEST(b.heartbeat_at, b.answering_since, b.lock_free_since, b.silent_since) > now() + interval '1 second'
        ORDER BY b.id
          FOR UPDATE OF b SKIP LOCKED)
    """)

  static let endOlderSession = PostgresStatement(
    "end_older_session",
    """
    /* baton:end_older_session */
    SELECT pg_terminate_backend(h.backend_pid)
      FROM baton_holders h
     WHERE h.id = $1 AND h.backend_pid <> pg_backend_pid()
       AND EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = h.backend_pid AND \(Fragment.isLock("l", of: "h")))
    """)

  static let signOn = PostgresStatement(
    "sign_on",
    """
    /* baton:sign_on */
    WITH signed AS (
      INSERT INTO baton_holders AS h (id, role, host, pid, backend_pid, answering_since, seal_format)
      VALUES ($1, $2, $3, $4, pg_backend_pid(), \(Fragment.answeringSince), \(sealFormatMax))
      ON CONFLICT (id) DO UPDATE
         SET lock_id = DEFAULT, backend_pid = EXCLUDED.backend_pid, heartbeat_at = now(),
             answering_since = EXCLUDED.answering_since, lock_free_since = NULL
      RETURNING h.tableoid, h.lock_id
    )
    SELECT pg_try_advisory_lock(s.tableoid::bigint << 32 | s.lock_id) AS is_locked,
           -- Versions up to schema 10 look for this one; it may be taken by another schema's holder.
           pg_try_advisory_lock(\(Fragment.olderLockClass), s.lock_id) AS is_locked_for_older
      FROM signed s
    """)

  /// Enters the holder's row, draws a lock for it and takes that lock on this session, in one statement: at the start of each
  /// session of the holder, and again whenever the row is gone.
  ///
  /// The lock is a new one each time, so that an older session of this holder that Postgres still takes for connected is not in
  /// the way. That session is ended.
  /// - Throws: ``HolderLockTaken``: try again soon. `PostgresError`.
  package func signOn(_ holder: Holder, on session: PostgresConnection) async throws {
    _ = try await session.query(Self.correctTimes, [])
    try await endOlderSession(of: holder, on: session)
    let rows = try await session.query(
      Self.signOn, [holder.id.text, holder.role, holder.host, holder.processID])
    guard try rows[0].decode("is_locked", as: Bool.self) else { throw HolderLockTaken() }
  }

  private func endOlderSession(of holder: Holder, on session: PostgresConnection) async throws {
    do throws(PostgresError) {
      guard try await !session.query(Self.endOlderSession, [holder.id.text]).isEmpty else { return }
      logger.notice("an older session of this process still held its lock; that session is ended")
    } catch {
      guard case .server = error.kind else { throw error }
      logger.warning(
        "an older session of this process still holds its lock and cannot be ended; Postgres ends it when its keepalives fail",
        metadata: ["error": "\(error)"])
    }
  }

  static let registerHolder = PostgresStatement(
    "register_holder",
    """
    /* baton:register_holder */
    INSERT INTO baton_holders AS h (id, role, host, pid, answering_since, seal_format)
    VALUES ($1, $2, $3, $4, \(Fragment.answeringSince), \(sealFormatMax))
    ON CONFLICT (id) DO NOTHING
    """)

  /// Inserts the holder's row without a lock: while its own session is lost, heartbeats alone keep it alive.
  package func register(_ holder: Holder) async throws {
    _ = try await pool.query(Self.registerHolder, [holder.id.text, holder.role, holder.host, holder.processID])
  }

  static let heartbeat = PostgresStatement(
    "heartbeat",
    """
    /* baton:heartbeat */
    WITH mine AS MATERIALIZED (
      -- Never waits for a lock: the next heartbeat comes soon, and a holder whose row is locked is not judged.
      SELECT b.id FROM baton_holders b WHERE b.id = $1 FOR UPDATE OF b SKIP LOCKED
    )
    UPDATE baton_holders h
       SET heartbeat_at = now(), unleased_tickets = $2, in_flight = $3, leased_up_to = $4, health = $5::text::jsonb,
           backends = $6::int[],
           answering_since = \(Fragment.answeringSince)
      FROM mine m
     WHERE h.id = m.id
    RETURNING EXISTS (SELECT 1 FROM baton_roll_calls c WHERE \(waitsForAnswer)) AS is_asked
    """)

  /// Says that the holder lives: one statement for all its leases and claims.
  /// - Returns: not known if its row is gone (pruned after a long silence): sign on again.
  /// - Throws: ``HolderRowLocked``, `PostgresError`.
  package func heartbeat(_ id: Holder.ID, _ report: Holder.Report) async throws -> Holder.Standing {
    let written = try await pool.query(Self.heartbeat, await parameters(of: id, report))
    guard written.isEmpty else { return try Holder.Standing(written[0]) }
    return try Holder.Standing(withoutHeartbeat: try await pool.query(Self.holderRow, [id.text]))
  }

  /// As ``heartbeat(_:_:)``, on the holder's own session.
  package func heartbeat(
    _ id: Holder.ID, _ report: Holder.Report, on session: PostgresConnection
  ) async throws -> Holder.Standing {
    let backends = [await session.backendPID]
    let written = try await session.query(Self.heartbeat, await parameters(of: id, report, backends))
    guard written.isEmpty else { return try Holder.Standing(written[0]) }
    return try Holder.Standing(withoutHeartbeat: try await session.query(Self.holderRow, [id.text]))
  }

  /// - Parameter backends: of the holder's sessions next to those of the pool.
  private func parameters(
    of id: Holder.ID, _ report: Holder.Report, _ backends: [Int32] = []
  ) async -> [any PostgresEncodable] {
    [
      id.text, Int32(report.unleasedTickets), Int32(report.inFlight), report.leasedUpTo?.instant, report.health.json,
      backends + (await pool.backendPIDs),
    ]
  }

  static let holderRow = PostgresStatement(
    "holder_row", "/* baton:holder_row */ SELECT 1 AS is_there FROM baton_holders WHERE id = $1")

  static let leave = PostgresStatement("leave", "/* baton:leave */ DELETE FROM baton_holders WHERE id = $1")

  /// Removes the holder at the end of a clean shutdown; what it still had is free at once.
  package func leave(_ id: Holder.ID) async throws {
    _ = try await pool.query(Self.leave, [id.text])
  }
}

extension Holder.Standing {
  fileprivate init(_ row: PostgresRow) throws {
    self.init(isKnown: true, isAsked: try row.decode("is_asked", as: Bool.self))
  }

  /// Why a heartbeat wrote nothing: the row is gone, or locked.
  fileprivate init(withoutHeartbeat rows: PostgresRows) throws {
    guard rows.isEmpty else { throw HolderRowLocked() }
    self.init(isKnown: false, isAsked: false)
  }
}
