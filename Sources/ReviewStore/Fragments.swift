internal import Primitives
internal import Reviews

/// Conditions that more than one statement needs, written once.
enum Fragment {
  /// The time by which a pending row has its turn, as the index `code_reviews_turns` has it; `r` is `code_reviews`.
  static let place = "COALESCE(r.place_at, r.available_at)"

  /// A pending row whose time has come.
  static let isDue = "r.status = 'pending' AND r.available_at <= now()"

  /// A pending row, asked for by its time alone: the condition of the index `code_reviews_due`.
  static let isPendingByTime = "lower(r.status) = 'pending'"

  /// A row that takes a slot of its owner: the condition of the index `code_reviews_active`.
  /// - Parameter review: alias of `code_reviews`.
  static func isActive(_ review: String) -> String { "\(review).status IN ('queued', 'running')" }

  /// A queued row: the condition of the index `code_reviews_queued`; `r` is `code_reviews`.
  static let isQueued = "r.status = 'queued'"

  /// A running row: the condition of the index `code_reviews_running`; `r` is `code_reviews`.
  static let isRunning = "r.status = 'running'"

  /// Seconds from one time to another, as `float8`. By their epochs, as Postgres before 17 refuses to subtract infinite times.
  static func seconds(from start: String, to end: String = "now()") -> String {
    "(date_part('epoch', \(end)) - date_part('epoch', \(start)))"
  }

  /// The status of a row that is found by its id. Written so that the planner cannot match it with a partial index: with
  /// statistics from when the index was empty it would take that index for cheaper than the primary key, and read it whole for
  /// every row.
  /// - Parameter statuses: as in SQL, quoted.
  static func hasStatus(_ statuses: String...) -> String {
    "(r.status || '') IN (\(statuses.joined(separator: ", ")))"
  }

  /// Whether a review with this id exists, locked or not. With LIMIT, or the planner may answer by reading the whole table once.
  static func exists(_ id: String) -> String {
    "(SELECT true FROM code_reviews x WHERE x.id = \(id) LIMIT 1)"
  }

  /// Locks one review for a write, unless another transaction has locked it: as CTE `held`, then empty. `$1` is the id.
  static let heldUnlessLocked = """
    held AS MATERIALIZED (
      SELECT r.id FROM code_reviews r WHERE r.id = $1 FOR NO KEY UPDATE SKIP LOCKED
    )
    """

  /// Whether the review of ``heldUnlessLocked`` exists and is locked by another transaction, as column `is_locked`.
  static let isLocked = "(NOT EXISTS (SELECT 1 FROM held) AND \(exists("$1"))) IS TRUE AS is_locked"

  /// Names who acts, for the history, until the transaction's end, as column `actor`. It stands in the statement's own SELECT, which has
  /// run before its triggers do; NULL names the program.
  static func actor(_ name: String) -> String { "set_config('baton.actor', COALESCE(\(name), ''), true) AS actor" }

  /// Has this transaction's commit return before it is on disk, as column `commit`; what a crash of Postgres may lose by it has to be
  /// argued where it is used. Postgres writes commits in their order: a later one that waits makes this one durable too.
  static let asynchronousCommit = "set_config('synchronous_commit', 'off', true) AS commit"

  /// The text of a configuration, NULL if it is larger than may be stored; and its size, NULL if there is none.
  /// - Parameter config: alias of the outer-joined `agent_configs`.
  static func boundedConfig(_ config: String) -> String {
    """
    CASE WHEN \(config).config_bytes <= \(ReviewConfiguration.byteCountMax) THEN \(config).config::text END AS config,
           \(config).config_bytes
    """
  }

  /// The trace of a review; one that was inserted without gets the one of its id, as ``TraceContext/init(reviewID:)`` has it. Put
  /// together only if there is none; no random number is drawn. `r` is `code_reviews`.
  static let traceparent = """
    COALESCE(r.traceparent,
                    '00-' || replace(r.id::text, '-', '') || '-' || replace(substr(r.id::text, 20), '-', '') || '-01')
    """

  /// The instance that a review's pull request is at: the host of its address at GitLab, and empty at GitHub, as one installation of Baton
  /// has one API of it. The expression of the index `code_reviews_repository`.
  /// - Parameter review: alias of `code_reviews`.
  static func instance(of review: String) -> String {
    let host = "COALESCE(lower(substring(\(review).pr_url FROM '^[A-Za-z]+://([^/?#]*)')), '')"
    return "(CASE \(review).platform WHEN 'gitlab' THEN \(host) ELSE '' END)"
  }

  /// The integration that a review names, if it is one of the review's owner and platform: the database refuses others, but not rows that
  /// are older than this rule, nor an integration that comes later. The platform is written so that no index of it serves: without statistics the
  /// planner may prefer that one to the primary key, and read all integrations of the platform for each review.
  /// - Parameters:
  ///   - integration: alias of `platform_integrations`.
  ///   - review: alias of `code_reviews`, or of what has its columns.
  static func isIntegration(_ integration: String, of review: String) -> String {
    """
    \(integration).id = \(review).platform_integration_id AND \(integration).owner_type = \(review).owner_type
           AND \(integration).owner_id = \(review).owner_id AND (\(integration).platform || '') = \(review).platform
    """
  }

  /// Whether the session that a review is to continue is known, and of other owners' reviews only.
  /// - Parameter review: alias of `code_reviews`, or of what has its columns.
  static func isForeignSession(_ review: String) -> String {
    """
    COALESCE((
                  SELECT bool_and(s.owner_type <> \(review).owner_type OR s.owner_id <> \(review).owner_id)
                    FROM code_reviews s
                   WHERE s.session_id = \(review).previous_session_id), false)
    """
  }

  /// The integration of a GitHub installation, at most one row: a living one before revoked ones, then the newest. For `FROM`.
  /// - Parameters:
  ///   - name: of the row.
  ///   - installation: its number, as text.
  static func integration(_ name: String, ofInstallation installation: String) -> String {
    """
    (SELECT n.* FROM platform_integrations n
              WHERE n.platform = 'github' AND n.installation_id = \(installation)
              ORDER BY n.revoked_at IS NOT NULL, n.created_at DESC, n.id
              LIMIT 1) \(name)
    """
  }

  /// A counter of a review's row, which stays at the bound that the table has for it: one row at its bound must not fail a statement for many.
  static func counter(_ value: String) -> String { "LEAST(\(value), 1000000)" }

  /// A time that doubles at every republish, up to an hour; `r` is `code_reviews`.
  static func doubling(_ seconds: String) -> String {
    "make_interval(secs => LEAST(3600, \(seconds) * 2 ^ LEAST(r.republish_count, 20)))"
  }

  /// A review in a worker's hands of which nothing was heard for too long; `r` is `code_reviews`.
  /// - Parameters:
  ///   - since: what also counts as having heard of it: the time when the worker was last asked, or NULL.
  ///   - queued: parameter with BATON_STALE_AFTER in seconds.
  ///   - running: parameter with BATON_RUNNING_TIMEOUT in seconds.
  static func isSilent(since: String, queued: String, running: String) -> String {
    """
    CASE r.status
           WHEN 'queued' THEN
             GREATEST(r.dispatched_at, \(since)) < now() - make_interval(secs => \(queued))
             AND r.dispatched_at IS NOT NULL
           ELSE GREATEST(r.updated_at, \(since)) < now() - make_interval(secs => \(running))
         END
    """
  }

  /// Why a due row is not claimed; `o` is `review_owners`.
  /// - Parameters:
  ///   - active: how many of the owner's reviews are queued or running.
  ///   - limit: parameter with BATON_OWNER_LIMIT.
  static func waiting(active: String, limit: String) -> String {
    """
    CASE WHEN o.paused THEN 'paused'
             WHEN \(active) >= COALESCE(o.max_concurrent, \(limit)) THEN 'limit'
             ELSE 'unclaimed' END
    """
  }

  /// The common tables `hosts` and `taken`, for a `WITH RECURSIVE`: what is due in an outbox, the oldest first, but not at the hosts $2; at most
  /// $1. Of each host the index gives the first ones: what is left costs nothing, however much it is.
  /// - Parameters:
  ///   - key: the columns of an entry's key, of `f`.
  ///   - outbox: a table with an index by `host` and `due_at`.
  static func taken(_ key: String, from outbox: String) -> String {
    """
    hosts AS (
      (SELECT h.host FROM \(outbox) h WHERE h.due_at IS NOT NULL ORDER BY h.host LIMIT 1)
      UNION ALL
      SELECT (SELECT n.host FROM \(outbox) n WHERE n.due_at IS NOT NULL AND n.host > h.host ORDER BY n.host LIMIT 1)
        FROM hosts h
       WHERE h.host IS NOT NULL
    ),
    taken AS MATERIALIZED (
      SELECT d.*
        FROM hosts h
       CROSS JOIN LATERAL (
         SELECT \(key), f.due_at
           FROM \(outbox) f
          WHERE f.host = h.host AND f.due_at <= now()
          ORDER BY f.due_at
          LIMIT $1
            FOR UPDATE OF f SKIP LOCKED) d
       WHERE h.host <> ALL ($2::text[])
       ORDER BY d.due_at
       LIMIT $1
    )
    """
  }
}
