import PostgresClient
import Support
import Testing

@Suite("Postgres transactions")
struct PostgresTransactionTests {
  private struct Refused: Error {}
  private let insert = PostgresStatement("insert", "INSERT INTO numbers VALUES ($1)")
  private let count = PostgresStatement("count", "SELECT count(*) FROM numbers")
  private let table = "CREATE TABLE numbers (n bigint PRIMARY KEY, hits bigint DEFAULT 0)"

  private func withPool(_ body: (PostgresPool) async throws -> Void) async throws {
    try await withTestDatabase { conninfo in
      let pool = PostgresPool(testConfiguration(conninfo), logger: .postgresTests)
      try await pool.withConnection { try await $0.execute(script: table) }
      try await body(pool)
      await pool.close()
    }
  }

  @Test("a transaction commits if its body returns, and rolls back if it throws")
  func commitAndRollback() async throws {
    try await withPool { pool in
      let answer = try await pool.withTransaction { connection in
        try await connection.query(insert, [1])
        return 7
      }
      #expect(answer == 7)
      await #expect(throws: Refused.self) {
        try await pool.withTransaction { connection in
          try await connection.query(insert, [2])
          throw Refused()
        }
      }
      #expect(try await pool.query(count).one().decode(0, as: Int.self) == 1)
    }
  }

  @Test("a commit that Postgres turned into a rollback is an error")
  func swallowedError() async throws {
    try await withPool { pool in
      let error = await #expect(throws: PostgresError.self) {
        try await pool.withTransaction { connection in
          try await connection.query(insert, [1])
          _ = try? await connection.query(insert, [1])
        }
      }
      #expect(error?.sqlState == PostgresSQLState.inFailedTransaction)
      let left = try await pool.query(count).one().decode(0, as: Int.self)
      #expect(left == 0)
    }
  }

  @Test("a transaction that a borrower left open is rolled back, and the connection is usable again")
  func leftOpen() async throws {
    try await withPool { pool in
      try await pool.withConnection { connection in
        try await connection.query(PostgresStatement(unprepared: "BEGIN"))
        try await connection.query(insert, [1])
      }
      #expect(try await pool.query(count).one().decode(0, as: Int.self) == 0)
    }
  }

  @Test("a deadlock's victim gets a transient error, and the other one commits")
  func deadlock() async throws {
    try await withPool { pool in
      try await pool.pipeline([(insert, [1]), (insert, [2])])
      let hit = PostgresStatement("hit", "UPDATE numbers SET hits = hits + 1 WHERE n = $1")
      let barrier = Barrier(2)
      let errors = await withTaskGroup(of: (any Error)?.self) { group in
        for (first, second) in [(1, 2), (2, 1)] {
          group.addTask {
            do {
              try await pool.withTransaction { connection in
                try await connection.query(hit, [first])
                await barrier.arrive()
                try await connection.query(hit, [second])
              }
              return nil
            } catch {
              return error
            }
          }
        }
        return await group.reduce(into: []) { errors, error in if let error { errors.append(error) } }
      }
      #expect(errors.count == 1)
      let error = errors.first as? PostgresError
      #expect(error?.sqlState == PostgresSQLState.deadlockDetected && error?.conditionName == "deadlock_detected")
      #expect(error?.isTransient == true)
    }
  }

  @Test("a serialization failure is transient")
  func serialization() async throws {
    try await withPool { pool in
      let barrier = Barrier(2)
      let errors = await withTaskGroup(of: (any Error)?.self) { group in
        for number in [1, 2] {
          group.addTask {
            do {
              try await pool.withTransaction(.serializable) { connection in
                try await connection.query(count)
                await barrier.arrive()
                try await connection.query(insert, [number])
              }
              return nil
            } catch {
              return error
            }
          }
        }
        return await group.reduce(into: []) { errors, error in if let error { errors.append(error) } }
      }
      #expect(errors.count == 1)
      let error = errors.first as? PostgresError
      #expect(error?.sqlState == PostgresSQLState.serializationFailure && error?.isTransient == true)
    }
  }

  @Test("more transactions than connections wait for one another, and all commit")
  func moreThanConnections() async throws {
    try await withPool { pool in
      try await withThrowingDiscardingTaskGroup { group in
        for number in 0..<40 {
          group.addTask {
            try await pool.withTransaction { connection in
              try await connection.query(insert, [number])
              try await connection.query(count)
            }
          }
          group.addTask { try await pool.query(count) }
        }
      }
      #expect(try await pool.query(count).one().decode(0, as: Int.self) == 40)
      #expect(pool.status.open <= 4 && pool.status.borrowed == 0 && pool.status.waiting == 0)
    }
  }

  @Test("a single statement never becomes part of another caller's transaction, which may be rolled back")
  func notTakenIn() async throws {
    try await withPool { pool in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 1...400 {
          group.addTask { try await pool.query(insert, [number]) }
          group.addTask {
            await #expect(throws: Refused.self) {
              try await pool.withTransaction { connection in
                try await connection.query(count)
                throw Refused()
              }
            }
          }
        }
        try await group.waitForAll()
      }
      #expect(try await pool.query(count).one().decode(0, as: Int.self) == 400)
    }
  }

  @Test("a cancelled transaction is rolled back, and its connection is usable again")
  func cancelled() async throws {
    try await withPool { pool in
      let (started, signal) = AsyncStream.makeStream(of: Void.self)
      let task = Task {
        try await pool.withTransaction { connection in
          try await connection.query(insert, [1])
          signal.yield()
          try await connection.query(PostgresStatement(unprepared: "SELECT pg_sleep(3600)"))
        }
      }
      for await _ in started { break }
      task.cancel()
      await #expect(throws: PostgresError.self) { try await task.value }
      let left = try await pool.query(count).one().decode(0, as: Int.self)
      #expect(left == 0 && pool.reconnects == 0)
    }
  }
}

/// Lets tasks go on once all of them have arrived.
private actor Barrier {
  private var missing: Int
  private var waiters: [CheckedContinuation<Void, Never>] = []

  init(_ count: Int) { missing = count }

  func arrive() async {
    missing -= 1
    if missing == 0 {
      for waiter in waiters { waiter.resume() }
    } else {
      await withCheckedContinuation { waiters.append($0) }
    }
  }
}
