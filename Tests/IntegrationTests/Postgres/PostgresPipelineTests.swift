import PostgresClient
import Support
import Testing

@Suite("Postgres pipelines")
struct PostgresPipelineTests {
  private let divide = PostgresStatement("divide", "SELECT 100 / $1")
  private let insert = PostgresStatement("insert", "INSERT INTO numbers VALUES ($1)")
  private let count = PostgresStatement("count", "SELECT count(*) FROM numbers")

  private func withNumbers(_ body: (PostgresConnection) async throws -> Void) async throws {
    try await withTestConnection { connection in
      try await connection.execute(script: "CREATE TABLE numbers (n bigint CONSTRAINT only_once PRIMARY KEY)")
      try await body(connection)
    }
  }

  @Test("one failing statement among many leaves its neighbours alone")
  func neighbours() async throws {
    try await withTestConnection { connection in
      let answers = await withTaskGroup(of: (Int, Result<Int, PostgresError>).self) { group in
        for number in 0..<200 {
          group.addTask {
            do throws(PostgresError) {
              return (number, .success(try await connection.query(divide, [number % 20]).one().decode(0)))
            } catch {
              return (number, .failure(error))
            }
          }
        }
        return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
      }
      #expect(answers.count == 200)
      for (number, answer) in answers {
        switch answer {
        case .success(let value): #expect(number % 20 != 0 && value == 100 / (number % 20))
        case .failure(let error): #expect(number % 20 == 0 && error.sqlState == "22012" && error.statement == "divide")
        }
      }
    }
  }

  @Test("a pipeline is one transaction: an error in its middle undoes what came before it, and names the statement")
  func implicitTransaction() async throws {
    try await withNumbers { connection in
      let error = await #expect(throws: PostgresError.self) {
        try await connection.pipeline([(insert, [1]), (insert, [2]), (insert, [1]), (insert, [3])])
      }
      #expect(error?.isUniqueViolation == true && error?.constraint == "only_once" && error?.table == "numbers")
      #expect(error?.statement == "insert" && error?.conditionName == "unique_violation")
      #expect(error?.isTransient == false && error?.isConnectionLost == false)
      #expect(try await connection.query(count).one().decode(0, as: Int.self) == 0)
      let rows = try await connection.pipeline([(insert, [1]), (insert, [2]), (count, [])])
      #expect(rows.map(\.affectedRows) == [1, 1, 1])
      #expect(try rows[2].one().decode(0, as: Int.self) == 2)
    }
  }

  @Test("an error that comes with the commit is the statement's error")
  func deferredConstraint() async throws {
    try await withTestConnection { connection in
      try await connection.execute(
        script: """
          CREATE TABLE parents (id bigint PRIMARY KEY);
          CREATE TABLE children (parent bigint CONSTRAINT known REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
          """)
      let orphan = PostgresStatement("orphan", "INSERT INTO children VALUES ($1)")
      async let neighbour = connection.query(divide, [5])
      let error = await #expect(throws: PostgresError.self) { try await connection.query(orphan, [7]) }
      #expect(error?.constraint == "known" && error?.sqlState == PostgresSQLState.foreignKeyViolation)
      #expect(try await neighbour.one().decode(0, as: Int.self) == 20)
      #expect(try await connection.query(divide, [4]).one().decode(0, as: Int.self) == 25)
    }
  }

  @Test("ten thousand statements at once, with answers larger than all buffers, block neither side")
  func bigPipelines() async throws {
    try await withNumbers { connection in
      let echo = PostgresStatement("echo", "SELECT $1, repeat('y', 2000)")
      let text = String(repeating: "x", count: 2_000)
      let rows = try await connection.pipeline((0..<10_000).map { _ in (echo, [text]) })
      #expect(rows.count == 10_000)
      #expect(try rows.allSatisfy { try $0.one().decode((String, String).self).0 == text })

      try await withThrowingDiscardingTaskGroup { group in
        for number in 0..<10_000 {
          group.addTask { _ = try await connection.query(insert, [number]) }
        }
      }
      #expect(try await connection.query(count).one().decode(0, as: Int.self) == 10_000)
    }
  }

  @Test("a statement that cannot be prepared fails alone, and can be prepared once its table is there")
  func failingPreparation() async throws {
    try await withTestConnection { connection in
      let later = PostgresStatement("later", "SELECT n FROM later WHERE n = $1")
      await withTaskGroup(of: String?.self) { group in
        for number in 0..<10 {
          group.addTask {
            do throws(PostgresError) {
              try await connection.query(later, [number])
              return nil
            } catch {
              return error.sqlState
            }
          }
        }
        for await state in group { #expect(state == "42P01") }
      }
      try await connection.execute(script: "CREATE TABLE later AS SELECT 3::bigint AS n")
      #expect(try await connection.query(later, [3]).count == 1)
    }
  }

  @Test("a prepared statement that is gone from the server is prepared again by itself")
  func discarded() async throws {
    try await withTestConnection { connection in
      try await connection.query(divide, [5])
      try await connection.query(PostgresStatement(unprepared: "DISCARD ALL"))
      #expect(try await connection.query(divide, [4]).one().decode(0, as: Int.self) == 25)
      try await connection.query(PostgresStatement(unprepared: "DISCARD ALL"))
      let rows = try await connection.pipeline([(divide, [4]), (divide, [2])])
      #expect(try rows[1].one().decode(0, as: Int.self) == 50)
    }
  }

  @Test("a prepared statement whose result type changed is prepared again, and its new columns are read")
  func changedPlan() async throws {
    try await withNumbers { connection in
      let all = PostgresStatement("all", "SELECT * FROM numbers")
      try await connection.query(insert, [1])
      #expect(try await connection.query(all).columnNames == ["n"])
      try await connection.execute(script: "ALTER TABLE numbers ADD COLUMN word text DEFAULT 'w'")
      #expect(try await connection.query(all).one().decode("word", as: String.self) == "w")
    }
  }

  @Test("one name may be used with parameters of several types and with several texts")
  func sameName() async throws {
    try await withTestConnection { connection in
      let echo = PostgresStatement("echo", "SELECT $1")
      let number = try await connection.query(echo, [7]).one().decode(0, as: Int.self)
      #expect(number == 7)
      #expect(try await connection.query(echo, ["seven"]).one().decode(0, as: String.self) == "seven")
      #expect(
        try await connection.query(PostgresStatement("echo", "SELECT $1 + 1"), [7]).one().decode(0, as: Int.self) == 8)
      #expect(try await connection.query(echo, [8]).one().decode(0, as: Int.self) == 8)
    }
  }

  @Test("a script of many commands runs between the statements of others, and all of it or nothing")
  func scripts() async throws {
    try await withNumbers { connection in
      async let before = connection.query(divide, [5])
      async let script: Void = connection.execute(
        script: "INSERT INTO numbers VALUES (1); INSERT INTO numbers VALUES (2)")
      async let after = connection.query(divide, [4])
      #expect(try await before.one().decode(0, as: Int.self) == 20)
      try await script
      #expect(try await after.one().decode(0, as: Int.self) == 25)
      let error = await #expect(throws: PostgresError.self) {
        try await connection.execute(script: "INSERT INTO numbers VALUES (3); INSERT INTO numbers VALUES (1)")
      }
      #expect(error?.isUniqueViolation == true)
      #expect(try await connection.query(count).one().decode(0, as: Int.self) == 2)
      try await connection.execute(script: "")
    }
  }

  @Test("parameters that Postgres cannot take are refused before anything is sent")
  func tooManyParameters() async throws {
    try await withTestConnection { connection in
      let error = await #expect(throws: PostgresError.self) {
        try await connection.query(divide, Array(repeating: 1, count: 65_536))
      }
      #expect(error?.kind == .encoding)
      try await connection.query(divide, [4])
    }
  }
}
