import FoundationEssentials
import PostgresClient
import Support
import Testing

@Suite("Postgres queries")
struct PostgresQueryTests {
  @Test("a statement is prepared by its first use and used again afterwards")
  func preparedOnce() async throws {
    try await withTestConnection { connection in
      let add = PostgresStatement("add", "/* baton:add */ SELECT $1 + $2")
      for number in 1...3 {
        let sum = try await connection.query(add, [number, 10]).one().decode(0, as: Int.self)
        #expect(sum == number + 10)
      }
      let names = try await connection.query(
        PostgresStatement(unprepared: "SELECT name FROM pg_prepared_statements ORDER BY name")
      ).decode(String.self)
      #expect(names == ["add"])
    }
  }

  @Test("a row is decoded by position, by name, and as a tuple")
  func decoding() async throws {
    try await withTestConnection { connection in
      let rows = try await connection.query(
        PostgresStatement(
          unprepared: "SELECT g AS id, 'n' || g AS name, NULL::int4 AS nothing FROM generate_series(1, 3) g"))
      #expect(rows.count == 3 && rows.affectedRows == 3)
      #expect(rows.columnNames == ["id", "name", "nothing"])
      #expect(try rows[1].decode("name", as: String.self) == "n2")
      let (id, name, nothing) = try rows[2].decode((Int32, String, Int?).self)
      #expect(id == 3 && name == "n3" && nothing == nil)
      let ids = try rows.map { row in try row.decode(0, as: Int.self) }
      #expect(ids == [1, 2, 3])
    }
  }

  @Test("what does not fit is an error that names the column and not its value")
  func misfits() async throws {
    try await withTestConnection { connection in
      let statement = PostgresStatement("misfit", "SELECT 'secret'::text AS word, NULL::int4 AS nothing")
      let row = try await connection.query(statement).one()
      let mismatch = #expect(throws: PostgresError.self) { try row.decode("word", as: UUID.self) }
      #expect(mismatch?.kind == .decoding && mismatch?.column == "word" && mismatch?.statement == "misfit")
      #expect(mismatch?.description.contains("secret") == false)
      #expect(throws: PostgresError.self) { try row.decode("nothing", as: Int.self) }
      #expect(throws: PostgresError.self) { try row.decode("absent", as: Int.self) }
      #expect(throws: PostgresError.self) { try row.decode((String).self) }
      #expect(throws: PostgresError.self) { try row.decode((String, Int?, Int?).self) }
    }
  }
}
