internal import GRDB
internal import GRDBSQLite
internal import Glibc

/// The worker's state on disk: SQLite, in one file that one worker at a time may open.
///
/// - A commit has reached the disk when it returns (`synchronous = FULL`): a start that was answered with 202 survives the
///   machine's death as well. What that costs is shared by ``GroupCommit``.
/// - What is deleted is overwritten (`secure_delete`), and the write-ahead log is truncated after a run has ended, see
///   ``truncateLog()``: prompts and tokens then stand nowhere in the files.
/// - The file belongs to its owner alone (mode 0600).
struct WorkerDatabase: Sendable {
  let queue: DatabaseQueue
  let commits: GroupCommit

  /// Opens the file, and makes it if there is none.
  /// - Throws: ``WorkerStateFault``.
  init(path: String) throws {
    do {
      // SQLite would make it with the umask's rights; its log takes over those of the file. Never opened if it exists already:
      // closing it again would give up the locks of this process.
      let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      guard descriptor >= 0 || errno == EEXIST else {
        throw WorkerStateFault(path: path, reason: String(cString: strerror(errno)))
      }
      if descriptor >= 0 { Glibc.close(descriptor) }
      var configuration = Configuration()
      configuration.label = "baton-worker"
      configuration.prepareDatabase { database in
        try database.execute(
          sql: """
            PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            PRAGMA secure_delete = ON
            """)
        // The log stays the same file also over an end of the worker: agents that go on have it covered, see ``AgentLaunch``.
        var isPersistent: Int32 = 1
        sqlite3_file_control(database.sqliteConnection, nil, SQLITE_FCNTL_PERSIST_WAL, &isPersistent)
      }
      queue = try DatabaseQueue(path: path, configuration: configuration)
      commits = GroupCommit(queue)
      try Self.migrator.migrate(queue)
    } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
      throw WorkerStateFault(path: path, reason: "another worker uses it: give each a file of its own")
    } catch let error as DatabaseError {
      throw WorkerStateFault(path: path, reason: error.message ?? "\(error.resultCode)")
    }
  }

  /// Moves the write-ahead log into the file and empties it: until then it keeps the pages as they were, secrets among them.
  func truncateLog() async throws {
    try await queue.writeWithoutTransaction { database in
      _ = try database.checkpoint(.truncate)
    }
  }

  /// Gives the file back to the next worker.
  func close() throws { try queue.close() }

  /// The schema, forward only.
  private static let migrator: DatabaseMigrator = {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1: runs, events, cancels, callbacks") { try $0.execute(sql: schema) }
    migrator.registerMigration("2: traces") {
      // W3C Trace Context, as the start had it; NULL if it had none.
      try $0.execute(sql: "ALTER TABLE runs ADD COLUMN traceparent TEXT")
    }
    return migrator
  }()

  private static let schema = """
    CREATE TABLE runs (
      number           INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of the starts
      review_id        TEXT NOT NULL,
      attempt          INTEGER NOT NULL,
      state            TEXT NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
      stop_reason      TEXT,                               -- while its agent is being ended
      launch           INTEGER NOT NULL DEFAULT 0,         -- how often an agent was begun
      payload          BLOB,                               -- the start as it came: prompt and tokens; NULL once it has ended
      agent_version    TEXT,
      session_id       TEXT,
      cli_session_id   TEXT,
      gate_result      TEXT,
      usage            TEXT,
      started_at       INTEGER,                            -- microseconds since 1970, as all times
      completed_at     INTEGER,
      error_message    TEXT,
      output_offset    INTEGER NOT NULL DEFAULT 0,         -- bytes of the agent's output that are events by now
      event_number     INTEGER NOT NULL DEFAULT 0,         -- of the newest event
      event_byte_count INTEGER NOT NULL DEFAULT 0,         -- of the events that are kept
      UNIQUE (review_id, attempt),
      CHECK ((payload IS NULL) = (completed_at IS NOT NULL))
    ) STRICT;
    CREATE INDEX runs_open ON runs (state, number) WHERE state IN ('queued', 'running');
    CREATE INDEX runs_ended ON runs (completed_at) WHERE completed_at IS NOT NULL;

    CREATE TABLE events (
      run        INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
      number     INTEGER NOT NULL,
      event      BLOB NOT NULL,
      byte_count INTEGER NOT NULL,
      PRIMARY KEY (run, number)
    ) STRICT, WITHOUT ROWID;

    -- Attempts that shall not run, also if they are not known yet.
    CREATE TABLE cancels (
      review_id TEXT NOT NULL PRIMARY KEY,
      attempt   INTEGER NOT NULL,
      at        INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- What has to be reported to Baton, in order for each review.
    CREATE TABLE callbacks (
      number     INTEGER PRIMARY KEY AUTOINCREMENT,
      review_id  TEXT NOT NULL,
      attempt    INTEGER NOT NULL,
      status     TEXT NOT NULL,
      body       BLOB NOT NULL,
      auth_token TEXT,     -- if no shared secret is set
      refused_at INTEGER   -- when Baton first said that it does not want it
    ) STRICT;
    CREATE INDEX callbacks_of_review ON callbacks (review_id, number);
    """
}

/// The worker's state cannot be used: a setting is to be corrected.
package struct WorkerStateFault: Error, Equatable, CustomStringConvertible {
  package var path: String
  package var reason: String

  package var description: String { "BATON_WORKER_STATE \(path): \(reason)" }
}
