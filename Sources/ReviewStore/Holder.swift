internal import FoundationEssentials
package import PostgresClient
package import Reviews

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
    /// Deliveries in hand for which no lease was decided yet.
    package var unleasedTickets: Int
    /// Reviews that it prepares or dispatches.
    package var inFlight: Int
    /// When the newest ticket was claimed that came here first and was leased: the queue is first in, first out, so
    /// whatever was published well before it has left the queue.
    package var leasedUpTo: Timestamp?

    package init(unleasedTickets: Int = 0, inFlight: Int = 0, leasedUpTo: Timestamp? = nil) {
      self.unleasedTickets = unleasedTickets
      self.inFlight = inFlight
      self.leasedUpTo = leasedUpTo
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

/// Another session of the same holder still has the lock, for example one whose connection has not timed out yet.
package struct HolderLockTaken: Error, CustomStringConvertible {
  package var description: String { "the holder's advisory lock is still held by an older session of this process" }
}

extension ReviewStore {
  static let registerHolder = Statement(
    "register_holder",
    """
    /* baton:register_holder */
    INSERT INTO baton_holders AS h (id, role, host, pid)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = now(), lock_free_since = NULL
    RETURNING h.lock_id
    """)

  static let lockHolder = Statement(
    "lock_holder", "/* baton:lock_holder */ SELECT pg_try_advisory_lock(1111577420, $1)")

  /// Registers the holder, and takes its lock on this session, for as long as the session lasts.
  /// - Throws: ``HolderLockTaken``: try again soon. `PostgresError`.
  package func register(_ holder: Holder, on session: PostgresConnection) async throws {
    let rows = try await session.query(
      Self.registerHolder, [holder.id.text, holder.role, holder.host, holder.processID])
    let lockID = try rows[0].decode(0, as: Int32.self)
    guard try await session.query(Self.lockHolder, [lockID])[0].decode(0, as: Bool.self) else {
      throw HolderLockTaken()
    }
  }

  static let heartbeat = Statement(
    "heartbeat",
    """
    /* baton:heartbeat */
    UPDATE baton_holders
       SET heartbeat_at = now(), unleased_tickets = $2, in_flight = $3, leased_up_to = $4
     WHERE id = $1
    """)

  /// Says that the holder lives: one statement for all its leases and claims.
  /// - Returns: false where its row is gone (pruned after a long silence): register again.
  package func heartbeat(_ id: Holder.ID, _ report: Holder.Report) async throws -> Bool {
    try await pool.query(
      Self.heartbeat,
      [id.text, Int32(report.unleasedTickets), Int32(report.inFlight), report.leasedUpTo?.instant]
    ).affectedRows == 1
  }

  /// Enters the holder's row again after it was pruned; its lock is still held by its session.
  package func signOn(_ holder: Holder) async throws {
    _ = try await pool.query(Self.registerHolder, [holder.id.text, holder.role, holder.host, holder.processID])
  }

  static let leave = Statement("leave", "/* baton:leave */ DELETE FROM baton_holders WHERE id = $1")

  /// Removes the holder at the end of a clean shutdown; what it still had is free at once.
  package func leave(_ id: Holder.ID) async throws {
    _ = try await pool.query(Self.leave, [id.text])
  }

  static let lookAtHolders = Statement(
    "look_at_holders",
    """
    /* baton:look_at_holders */
    UPDATE baton_holders h
       SET lock_free_since = CASE WHEN s.is_locked THEN NULL ELSE now() END
      FROM (SELECT b.id, EXISTS (
                     SELECT 1
                       FROM pg_locks l
                      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
                        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                        AND l.classid = 1111577420 AND l.objid = b.lock_id::bigint::oid) AS is_locked
              FROM baton_holders b
             ORDER BY b.id
               FOR UPDATE OF b SKIP LOCKED) s
     WHERE h.id = s.id AND s.is_locked = (h.lock_free_since IS NOT NULL)
    """)

  /// Notes which holders' locks are free: the quick sign of a killed process. Run by every reaper pass, and by consumers
  /// while they wait for another's lease.
  package func lookAtHolders() async throws {
    _ = try await pool.query(Self.lookAtHolders, [])
  }

  static let suspects = Statement(
    "suspects",
    """
    /* baton:suspects */
    SELECT EXISTS (SELECT 1 FROM baton_holders h WHERE h.lock_free_since > now() - interval '2 seconds')
    """)

  /// Whether a holder's lock was seen free so recently that its holder may yet come back.
  package func hasSuspects() async throws -> Bool {
    try await pool.query(Self.suspects, [])[0].decode(0, as: Bool.self)
  }

  static let pruneHolders = Statement(
    "prune_holders",
    """
    /* baton:prune_holders */
    DELETE FROM baton_holders h
     WHERE h.heartbeat_at < now() - interval '1 hour'
       AND NOT EXISTS (SELECT 1 FROM code_reviews r
                        WHERE r.status IN ('queued', 'running') AND (r.lease_owner = h.id OR r.claimed_by = h.id))
    """)
}
