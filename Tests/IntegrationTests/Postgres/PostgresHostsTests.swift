import PostgresClient
import Support
import Testing

@Suite("Postgres with several hosts", .timeLimit(.minutes(5)))
struct PostgresHostsTests {
  private let one = PostgresStatement("one", "SELECT 1")

  /// The test server's port, and a URL with other hosts in front of it.
  private func url(_ hosts: String, _ query: String = "") throws -> String {
    let server = try postgresTestVariable("BATON_TEST_DATABASE_URL")
    let port = try #require(server.firstMatch(of: /:(\d+)\//)?.1)
    return "postgresql://postgres@\(hosts),127.0.0.1:\(port)/postgres\(query)"
  }

  private func shortTimes(_ conninfo: String) -> PostgresConfiguration {
    var configuration = testConfiguration(conninfo)
    configuration.connectTimeout = .seconds(4)
    return configuration
  }

  @Test("a silent host in front is passed over after its own time")
  func silentFirst() async throws {
    let silent = try SilentAddress()
    let pool = PostgresPool(try shortTimes(url("127.0.0.1:\(silent.port)")), logger: .postgresTests)
    let clock = ContinuousClock()
    let time = try await clock.measure { _ = try await pool.query(one) }
    await pool.close()
    // Half of connectTimeout, as there are two.
    #expect(time >= .seconds(2))
    withExtendedLifetime(silent) {}
  }

  @Test("a host that accepts and says nothing, one that refuses and one without an address are passed over as well")
  func othersFirst() async throws {
    let mute = try ListeningAddress()
    var configuration = try shortTimes(
      url("127.0.0.1:\(mute.port),127.0.0.1:1,no-such-host.invalid:5432", "?connect_timeout=2"))
    configuration.acquireTimeout = .seconds(60)
    let connection = try await PostgresConnection.connect(configuration, logger: .postgresTests)
    #expect(try await connection.query(one).count == 1)
    await connection.close()
    withExtendedLifetime(mute) {}
  }

  @Test("if no host accepts, the message names each with its fault, and no password")
  func none() async throws {
    let silent = try SilentAddress()
    let conninfo = "postgresql://me:s3cret@127.0.0.1:\(silent.port),127.0.0.1:1/d"
    var configuration = shortTimes(conninfo)
    configuration.acquireTimeout = .seconds(60)
    configuration.isPatient = false
    let pool = PostgresPool(configuration, logger: .postgresTests)
    let error = await #expect(throws: PostgresError.self) { try await pool.query(one) }
    await pool.close()
    let text = try #require(error?.description)
    #expect(text.contains("127.0.0.1:\(silent.port): no answer within 2.0 seconds"))
    #expect(text.contains("127.0.0.1:1: ") && text.contains("refused"))
    #expect(!text.contains("s3cret") && !text.contains("poolSize"))
    withExtendedLifetime(silent) {}
  }

  @Test(
    "a caller whose time ends while the first host is being tried gets the reason, not that the pool is too small")
  func stillConnecting() async throws {
    let silent = try SilentAddress()
    var configuration = testConfiguration("postgresql://me@127.0.0.1:\(silent.port)/d")
    configuration.acquireTimeout = .milliseconds(200)
    let pool = PostgresPool(configuration, logger: .postgresTests)
    let error = await #expect(throws: PostgresError.self) { try await pool.query(one) }
    await pool.close()
    #expect(error?.message.contains("connecting to postgresql://me@127.0.0.1:\(silent.port)/d goes on") == true)
    #expect(error?.message.contains("poolSize") == false && error?.isTransient == true)
    withExtendedLifetime(silent) {}
  }

  @Test("a session that can only read is refused at the connecting, with a code that says so")
  func readOnlyServer() async throws {
    try await withTestDatabase { conninfo in
      let admin = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      try await admin.execute(
        script: """
          DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
          END $$
          """)
      await admin.close()
      let error = await #expect(throws: PostgresError.self) {
        try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests).close()
      }
      #expect(error?.isReadOnly == true && error?.isTransient == true)
      let other = conninfo + (conninfo.contains("?") ? "&" : "?") + "target_session_attrs=any"
      let connection = try await PostgresConnection.connect(testConfiguration(other), logger: .postgresTests)
      #expect(try await connection.query(one).count == 1)
      await connection.close()
    }
  }

  @Test("a pooled session that turns out to be read-only is replaced; what it refused can be run again")
  func readOnlySession() async throws {
    try await withTestDatabase { conninfo in
      var configuration = testConfiguration(conninfo)
      configuration.poolSize = 1
      let pool = PostgresPool(configuration, logger: .postgresTests)
      let pid = PostgresStatement("pid", "SELECT pg_backend_pid()")
      let before = try await pool.query(pid)[0].decode(0, as: Int32.self)
      #expect(await pool.fault() == nil)
      // As a proxy would do that leads an open connection to another server.
      try await pool.query(PostgresStatement(unprepared: "SET default_transaction_read_only = on"))
      #expect(await pool.fault()?.contains("can only read") == true)
      let error = await #expect(throws: PostgresError.self) {
        try await pool.query(PostgresStatement(unprepared: "CREATE TABLE t ()"))
      }
      #expect(error?.isReadOnly == true)
      try await pool.query(PostgresStatement(unprepared: "CREATE TABLE t ()"))
      #expect(try await pool.query(pid)[0].decode(0, as: Int32.self) != before)
      #expect(await pool.fault() == nil)
      await pool.close()
    }
  }

  @Test("optional settings are applied as far as the server knows them and the account may change them")
  func optionalSettings() async throws {
    try await withTestDatabase { conninfo in
      let admin = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      let role = "plain_\(UInt32.random(in: 0 ... .max))"
      try await admin.execute(
        script: """
          CREATE ROLE \(role) LOGIN;
          ALTER ROLE \(role) SET idle_session_timeout = '1h';
          ALTER ROLE \(role) SET session_replication_role = 'replica'
          """)
      func settings(of user: String) async throws -> [String] {
        var configuration = testConfiguration(
          conninfo.replacing(try Regex("//[^@]*@"), with: "//\(user)@"))
        configuration.optionalSessionSettings = [
          "idle_session_timeout": "0", "session_replication_role": "origin", "no_such_setting": "1",
        ]
        let connection = try await PostgresConnection.connect(configuration, logger: .postgresTests)
        let row = try await connection.query(
          PostgresStatement(
            unprepared:
              "SELECT current_setting('idle_session_timeout'), current_setting('session_replication_role')")
        )[0]
        await connection.close()
        return [try row.decode(0, as: String.self), try row.decode(1, as: String.self)]
      }
      #expect(try await settings(of: role) == ["0", "replica"])
      try await admin.execute(script: "ALTER ROLE \(role) SUPERUSER")
      #expect(try await settings(of: role) == ["0", "origin"])
      await admin.close()
      try await dropRole(role)
    }
  }

  private func dropRole(_ role: String) async throws {
    let server = try postgresTestVariable("BATON_TEST_DATABASE_URL")
    let connection = try await PostgresConnection.connect(testConfiguration(server), logger: .postgresTests)
    try await connection.execute(script: "DROP ROLE \(role)")
    await connection.close()
  }
}
