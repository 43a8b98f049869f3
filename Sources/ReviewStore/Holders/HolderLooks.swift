internal import PostgresClient

/// After what times a holder is judged.
package enum HolderTimes {
  /// For how long a holder has to be missed: a living one sends several heartbeats in that time.
  package static let missed: Duration = .seconds(2)
  /// The same for a holder of whose sessions none is left: that is what a killed process leaves, and a living one connects again and sends a
  /// heartbeat within half of this time.
  package static let gone: Duration = .seconds(1)
  /// If no holder has sent a heartbeat for this time, the database did not answer, or no holder ran.
  package static let pause: Duration = .milliseconds(1_500)
  /// After a pause the holders have this time to connect and send a heartbeat, before any of them is judged: four times the longest wait between
  /// two tries of their sessions to connect.
  package static let grace: Duration = .seconds(2)
}

extension Duration {
  /// As a literal of SQL.
  fileprivate var interval: String { "interval '\(Int64(self / .milliseconds(1))) milliseconds'" }
}

/// How the holders are judged: by their heartbeats and their locks, and only while the database answers.
///
/// A holder with a fresh heartbeat is alive, whatever its lock says. A look notes what it misses; a heartbeat after the look makes
/// the note void; only a note of some age counts. So a holder always has time for a heartbeat after it was missed. The database's own
/// silence is recognised by the silence of all holders: every heartbeat looks for the last one of any holder.
extension Fragment {
  /// The first key of the lock that versions up to schema 10 take, in every schema alike.
  static let olderLockClass = "1111577420"
  private static let missedTime = HolderTimes.missed.interval
  private static let goneTime = HolderTimes.gone.interval
  fileprivate static let pause = HolderTimes.pause.interval
  fileprivate static let grace = HolderTimes.grace.interval

  /// Since when the database has answered without a pause, as a heartbeat finds it; NULL: no pause was ever seen.
  static let answeringSince = """
    (SELECT CASE WHEN max(b.heartbeat_at) < now() - \(pause) THEN now() ELSE max(b.answering_since) END
                 FROM baton_holders b)
    """

  /// Whether the database has answered for long enough that a holder's silence is the holder's own.
  static let databaseAnswers = """
    (SELECT max(b.heartbeat_at) > now() - \(pause)
                       AND COALESCE(max(b.answering_since) < now() - \(grace), true)
                  FROM baton_holders b) IS TRUE
    """

  /// Whether a row of `pg_locks` is a holder's lock. Its key holds the table's number: each schema of a database has locks of its
  /// own.
  /// - Parameters:
  ///   - lock: alias of `pg_locks`.
  ///   - holder: alias of `baton_holders`.
  static func isLock(_ lock: String, of holder: String) -> String {
    """
    (\(lock).locktype = 'advisory' AND \(lock).granted
              AND \(lock).database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND \(lock).objid = \(holder).lock_id::bigint::oid
              AND CASE WHEN \(holder).backend_pid IS NULL
                       THEN \(lock).objsubid = 2 AND \(lock).classid = \(olderLockClass)
                       ELSE \(lock).objsubid = 1 AND \(lock).classid = \(holder).tableoid END)
    """
  }

  /// When the holder's death is certain, unless a heartbeat comes before; NULL if no look has missed it.
  fileprivate static func deathIsSureAt(_ holder: String, heartbeatTimeout timeout: String) -> String {
    """
    CASE WHEN \(holder).lock_free_since >= \(holder).heartbeat_at
              THEN \(holder).lock_free_since + CASE WHEN \(holder).is_gone THEN \(goneTime) ELSE \(missedTime) END
              WHEN \(holder).silent_since >= \(holder).heartbeat_at
                   AND \(holder).heartbeat_at < now() - make_interval(secs => \(timeout))
              THEN \(holder).silent_since + \(missedTime) END
    """
  }

  /// A holder that is gone, so that what it holds is free: it has no row, or its lock was seen free, or it has been silent for
  /// longer than BATON_LEASE; and it sent no heartbeat since, although the database answered.
  /// - Parameters:
  ///   - holder: alias of the outer-joined `baton_holders`.
  ///   - timeout: parameter with BATON_LEASE in seconds.
  static func isDead(_ holder: String, heartbeatTimeout timeout: String) -> String {
    """
    (\(holder).id IS NULL
        OR (\(deathIsSureAt(holder, heartbeatTimeout: timeout)) < now()) IS TRUE
           AND \(databaseAnswers))
    """
  }

  /// A lease whose loss counts against its review: its holder is dead, and had isolated no other review.
  /// - Parameters:
  ///   - review: alias of `code_reviews`, or of what has its `id`.
  ///   - holder: alias of the outer-joined `baton_holders`.
  ///   - timeout: parameter with BATON_LEASE in seconds.
  static func isCharged(_ review: String, holder: String, heartbeatTimeout timeout: String) -> String {
    """
    (\(isDead(holder, heartbeatTimeout: timeout))
        AND (\(holder).isolated IS NULL OR \(review).id = ANY (\(holder).isolated)))
    """
  }

  /// A lease that has ended: its holder is dead, or its time is over. After a pause of the database a living holder has
  /// BATON_LEASE to write what it has done in the meantime.
  /// - Parameters:
  ///   - review: alias of `code_reviews`.
  ///   - holder: alias of the outer-joined `baton_holders`.
  ///   - timeout: parameter with BATON_LEASE in seconds.
  static func leaseHasEnded(_ review: String, holder: String, heartbeatTimeout timeout: String) -> String {
    """
    (\(isDead(holder, heartbeatTimeout: timeout))
        OR GREATEST(\(review).lease_expires_at,
                    (SELECT max(b.answering_since) FROM baton_holders b) + make_interval(secs => \(timeout))) <= now())
    """
  }

  /// A holder of which there is no sign at the moment, for people and figures. Nothing is taken from it for that: see
  /// ``isDead(_:heartbeatTimeout:)``.
  /// - Parameters:
  ///   - holder: alias of `baton_holders`.
  ///   - timeout: parameter with BATON_LEASE in seconds.
  static func isAbsent(_ holder: String, heartbeatTimeout timeout: String) -> String {
    """
    (\(holder).heartbeat_at < now() - make_interval(secs => \(timeout))
        OR (\(holder).lock_free_since >= \(holder).heartbeat_at
            AND \(holder).lock_free_since < now() - \(missedTime)) IS TRUE)
    """
  }
}

extension ReviewStore {
  static let holderLookStatements: [PostgresStatement] = [lookAtHolders, undecidedHolders, pruneHolders]

  static let lookAtHolders = PostgresStatement(
    "look_at_holders",
    """
    /* baton:look_at_holders */
    WITH missed AS MATERIALIZED (
      -- A locked row is not judged: its heartbeats wait for that lock too.
      SELECT b.id, s.is_locked, s.is_silent, g.is_gone
        FROM baton_holders b
       CROSS JOIN LATERAL (
         SELECT EXISTS (SELECT 1 FROM pg_locks l WHERE \(Fragment.isLock("l", of: "b"))) AS is_locked,
                b.heartbeat_at < now() - \(Fragment.pause) AS is_silent) s
       CROSS JOIN LATERAL (
         -- Every account sees the processes of all sessions.
         SELECT CASE WHEN s.is_locked OR b.backends = '{}' THEN false
                     ELSE NOT EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.pid = ANY (b.backends)) END AS is_gone) g
       WHERE g.is_gone <> b.is_gone OR CASE WHEN s.is_locked THEN b.lock_free_since IS NOT NULL
                  ELSE b.lock_free_since IS NULL OR b.lock_free_since < b.heartbeat_at END
          OR s.is_silent AND (b.silent_since IS NULL OR b.silent_since < b.heartbeat_at)
       ORDER BY b.id
         FOR UPDATE OF b SKIP LOCKED
    )
    UPDATE baton_holders h
       SET lock_free_since = CASE WHEN m.is_locked THEN NULL
                                  WHEN h.lock_free_since >= h.heartbeat_at THEN h.lock_free_since
                                  ELSE now() END,
           is_gone = m.is_gone,
           silent_since = CASE WHEN NOT m.is_silent OR h.silent_since >= h.heartbeat_at THEN h.silent_since
                               ELSE now() END
      FROM missed m
     WHERE h.id = m.id
    """)

  /// Notes which holders are missed: a free lock is the quick sign of a killed process, silence the slow one of a lost host. Run by
  /// every reaper pass, and by consumers while they wait for another's lease.
  package func lookAtHolders() async throws {
    _ = try await pool.query(Self.lookAtHolders, [])
  }

  static let undecidedHolders = PostgresStatement(
    "undecided_holders",
    """
    /* baton:undecided_holders */
    SELECT extract(epoch FROM max(GREATEST(s.sure_at, b.answering_since + \(Fragment.grace))) - now())::float8 AS wait
      FROM baton_holders h
     CROSS JOIN (SELECT max(answering_since) AS answering_since FROM baton_holders) b
     CROSS JOIN LATERAL (SELECT \(Fragment.deathIsSureAt("h", heartbeatTimeout: "$1")) AS sure_at) s
     WHERE s.sure_at IS NOT NULL AND NOT \(Fragment.isDead("h", heartbeatTimeout: "$1"))
    """)

  /// How long it takes until every holder that was missed is known to be dead or alive; nil if none is missed.
  /// - Parameter heartbeatTimeout: BATON_LEASE.
  package func timeUntilDeathsAreSure(heartbeatTimeout: Duration) async throws -> Duration? {
    try await pool.query(Self.undecidedHolders, [heartbeatTimeout.inSeconds])[0]
      .optional("wait", as: Double.self).map { max(.zero, .seconds(saturating: $0)) }
  }

  static let pruneHolders = PostgresStatement(
    "prune_holders",
    """
    /* baton:prune_holders */
    DELETE FROM baton_holders
     WHERE id IN (
       SELECT h.id
         FROM baton_holders h
        WHERE h.heartbeat_at < now() - interval '1 hour' AND \(Fragment.databaseAnswers)
          AND NOT EXISTS (SELECT 1 FROM code_reviews r
                           WHERE \(Fragment.isActive("r")) AND (r.lease_owner = h.id OR r.claimed_by = h.id))
          FOR UPDATE OF h SKIP LOCKED)
    """)

  /// Removes holders that have been silent for an hour and have nothing left.
  package func pruneHolders() async throws {
    _ = try await pool.query(Self.pruneHolders, [])
  }
}
