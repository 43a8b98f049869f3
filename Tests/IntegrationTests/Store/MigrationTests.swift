import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Schema")
struct MigrationTests {
  @Test("migrating twice, and from many places at once, makes one schema")
  func concurrentMigrations() async throws {
    try await withTestDatabase { conninfo in
      try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<4 {
          group.addTask {
            let pool = PostgresPool(testConfiguration(conninfo), logger: .postgresTests)
            let count = try await Migrator(pool: pool).migrate().count
            try await Migrator(pool: pool).check()
            await pool.close()
            return count
          }
        }
        var applied = 0
        for try await count in group { applied += count }
        #expect(applied == Migrator.migrations.count)
      }
    }
  }

  @Test("a database without the schema is refused with what to do")
  func missingSchema() async throws {
    try await withTestDatabase { conninfo in
      let pool = PostgresPool(testConfiguration(conninfo), logger: .postgresTests)
      await #expect(throws: Migrator.SchemaFault.missing(path: "\"$user\", public")) {
        try await Migrator(pool: pool).check()
      }
      await pool.close()
    }
  }

  @Test("a newer schema is left alone by migrate, and worked with by the roles")
  func newerSchema() async throws {
    try await withTestStore { test in
      try await test.sql("INSERT INTO baton_migrations (version, name) VALUES (999, 'future')")
      await #expect(throws: Migrator.SchemaFault.newer(found: 999, known: Migrator.version)) {
        try await Migrator(pool: test.pool).migrate()
      }
      try await Migrator(pool: test.pool).check()
    }
  }

  @Test(
    "no migration after the first takes away what an older program uses", arguments: Migrator.migrations.dropFirst())
  func additive(_ migration: Migrator.Migration) {
    for taking in ["DROP COLUMN", "DROP TABLE", "RENAME", "ALTER COLUMN", "TRUNCATE"] {
      #expect(!migration.sql.uppercased().contains(taking), "during a rolling upgrade both versions run")
    }
  }

  @Test("every statement can be prepared")
  func statements() async throws {
    try await withTestStore { test in
      for statement in ReviewStore.statements {
        // The session has those of the migration already, under their own names.
        try await test.sql("PREPARE \"test_\(statement.name)\" AS \(statement.sql)")
      }
    }
  }

  @Test("the database allows exactly the transitions that the type allows")
  func transitions() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      for from in ReviewStatus.allCases {
        for to in ReviewStatus.allCases where from != to {
          // Sets the status without the rules: only the change that follows is under test.
          try await test.sql("ALTER TABLE code_reviews DISABLE TRIGGER code_reviews_changed")
          try await test.sql("UPDATE code_reviews SET status = '\(from.rawValue)'")
          try await test.sql("ALTER TABLE code_reviews ENABLE TRIGGER code_reviews_changed")
          do {
            try await test.sql("UPDATE code_reviews SET status = '\(to.rawValue)'")
            #expect(from.canBecome(to), "\(from) became \(to)")
            #expect(try await test.row(id).status == to)
          } catch let error as PostgresError {
            #expect(!from.canBecome(to), "\(from) did not become \(to): \(error)")
            #expect(error.constraint == "code_reviews_transition")
          }
        }
      }
    }
  }

  @Test("a review changed by hand leaves a trace that says who did it")
  func tracesOfHands() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await test.sql("UPDATE code_reviews SET status = 'cancelled' WHERE id = '\(id)'")
      let transitions = try await test.store.transitions(of: id)
      #expect(transitions.map(\.toStatus) == [.pending, .cancelled])
      #expect(transitions[1].fromStatus == .pending)
      #expect(transitions[1].actor == "baton-tests")
    }
  }

  @Test("an insert of the required columns alone makes the owner, a trace and a notification")
  func plainInsert() async throws {
    try await withTestStore { test in
      let listener = PostgresListener(
        testConfiguration(test.conninfo), channels: ["baton_pending"], logger: .postgresTests)
      let running = Task { await listener.run() }
      defer { running.cancel() }
      var events = listener.events.makeAsyncIterator()
      #expect(await events.next() == .connected)
      let id = try await test.insert(1)[0]
      #expect(await events.next() == .notified(channel: "baton_pending", payload: ""))
      #expect(try await test.store.owners(limit: 10).map(\.owner) == [Owner(type: .org, id: "acme")])
      #expect(try await test.store.transitions(of: id).map(\.reason) == ["submitted"])
    }
  }
}
