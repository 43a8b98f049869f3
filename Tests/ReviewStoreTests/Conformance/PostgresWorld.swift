import FoundationEssentials
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Synchronization
import Testing

/// The real ledger, in a schema that all cases of a suite share, one after another.
final class PostgresWorld: LedgerWorld {
  private let test: TestStore
  private let passed = Mutex(Duration.zero)

  /// Empties the schema's tables.
  init(_ test: TestStore) async throws {
    self.test = test
    // A store of its own: it remembers which owners it has visited.
    ledger = ReviewStore(pool: test.pool, logger: .postgresTests)
    try await change(
      [
        "code_reviews", "review_owners", "review_transitions", "baton_holders", "baton_roll_calls", "baton_outbox",
        "baton_visits", "baton_counts", "baton_workers", "baton_owner_limit", "agent_configs", "baton_reaper",
      ].map { "DELETE FROM \($0)" })
  }

  let ledger: any ReviewLedger
  var shift: Duration { passed.withLock { $0 } }

  /// Runs SQL without the triggers, so that no event of it hides one that is missing.
  private func change(_ commands: [String]) async throws {
    try await test.pool.withTransaction { connection in
      _ = try await connection.query(PostgresStatement(unprepared: "SET LOCAL session_replication_role = replica"))
      for command in commands { _ = try await connection.query(PostgresStatement(unprepared: command)) }
    }
  }

  private static let times = [
    "code_reviews": [
      "available_at", "place_at", "claimed_at", "published_at", "lease_expires_at", "prepared_at", "dispatched_at",
      "reconciled_at",
      "started_at", "completed_at", "created_at", "updated_at",
    ],
    "baton_holders": [
      "started_at", "heartbeat_at", "lock_free_since", "silent_since", "answering_since", "leased_up_to",
    ],
    "baton_roll_calls": ["started_at", "seen_at"],
    "baton_outbox": ["due_at", "created_at", "given_up_at"],
    "baton_visits": ["due_at"],
  ]

  func pass(_ duration: Duration, alive: [Holder.ID]) async throws {
    let interval = "interval '\(duration / .microseconds(1)) microseconds'"
    var commands = Self.times.map { table, columns in
      "UPDATE \(table) SET " + columns.map { "\($0) = \($0) - \(interval)" }.joined(separator: ", ")
    }
    for holder in alive { commands.append("UPDATE baton_holders SET heartbeat_at = now() WHERE id = '\(holder)'") }
    try await change(commands)
    passed.withLock { $0 += duration }
  }

  func setHeartbeat(of holder: Holder.ID, in duration: Duration) async throws {
    try await change([
      "UPDATE baton_holders SET heartbeat_at = now() + interval '\(duration.components.seconds) s' WHERE id = '\(holder)'"
    ])
  }

  func endSessions(of holder: Holder.ID) async throws {
    // The number of no process.
    try await change([
      "UPDATE baton_holders SET backends = ARRAY[2147483647] WHERE id = '\(holder)' AND backends <> '{}'"
    ])
  }

  func schedule(_ id: UUID, at time: Timestamp) async throws {
    let time = time.shifted(by: .zero - shift)
    try await test.sql("UPDATE code_reviews SET available_at = '\(time)' WHERE id = '\(id)'")
  }

  func whileLocked(_ ids: [UUID], _ body: @Sendable () async throws -> Void) async throws {
    let list = ids.map { "'\($0)'" }.joined(separator: ", ")
    try await test.pool.withTransaction { person in
      _ = try await person.query(
        PostgresStatement(unprepared: "SELECT FROM code_reviews WHERE id IN (\(list)) FOR UPDATE"))
      try await body()
    }
  }
}

/// Gives the tests of a suite one migrated database.
struct SharedDatabaseTrait: SuiteTrait, TestScoping {
  @TaskLocal static var store: TestStore?

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    try await withTestStore { store in
      try await Self.$store.withValue(store) { try await function() }
    }
  }

  /// The world of a case.
  static func world() async throws -> PostgresWorld { try await PostgresWorld(try #require(store)) }
}
