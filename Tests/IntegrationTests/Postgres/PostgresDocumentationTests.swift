import FoundationEssentials
import Logging
import PostgresClient
import Support
import Testing

// The code of PostgresClient.docc, statement by statement: it must compile, and do what is said there.
private enum Accounts {
  static let create = PostgresStatement(
    "account_create",
    """
    /* shop:account_create */
    INSERT INTO accounts (id, owner, labels) VALUES ($1, $2, $3)
    """)
  static let find = PostgresStatement(
    "account_find",
    """
    /* shop:account_find */
    SELECT id, balance, closed_at FROM accounts WHERE owner = $1
    """)
  static let move = PostgresStatement(
    "account_move",
    """
    /* shop:account_move */
    UPDATE accounts SET balance = balance + $2 WHERE id = $1
    """)
}

@Suite("Postgres documentation")
struct PostgresDocumentationTests {
  @Test("the example of the overview works")
  func overview() async throws {
    try await withTestDatabase { conninfo in
      var configuration = testConfiguration(conninfo, applicationName: "shop")
      configuration.sessionSettings = ["statement_timeout": "5s"]
      let pool = PostgresPool(configuration, logger: Logger(label: "shop"))
      try await pool.withConnection { connection in
        try await connection.execute(
          script: """
            CREATE TABLE accounts (
              id uuid PRIMARY KEY, owner text CONSTRAINT one_each UNIQUE, labels text[], balance bigint DEFAULT 10,
              closed_at timestamptz)
            """)
      }
      let id = UUID()
      try await pool.query(Accounts.create, [id, "ada", ["vip", nil] as [String?]])
      do {
        try await pool.query(Accounts.create, [UUID(), "ada", [] as [String]])
        Issue.record("created twice")
      } catch let error as PostgresError where error.isUniqueViolation {
        #expect(error.constraint == "one_each")
      }
      for row in try await pool.query(Accounts.find, ["ada"]) {
        let (found, balance, closedAt) = try row.decode((UUID, Int, PostgresInstant?).self)
        #expect(found == id && balance == 10 && closedAt?.rfc3339 == nil)
        #expect(try row.decode("balance", as: Int.self) == 10)
      }
      try await pool.pipeline([(Accounts.move, [id, -5]), (Accounts.move, [UUID(), 5])])
      try await pool.withTransaction(.serializable) { connection in
        let rows = try await connection.query(Accounts.find, ["ada"])
        if try rows.one().decode("balance", as: Int.self) > 0 {
          try await connection.query(Accounts.move, [id, -1])
        }
      }
      #expect(try await pool.query(Accounts.find, ["ada"]).one().decode("balance", as: Int.self) == 4)
      await pool.close()
    }
  }
}
