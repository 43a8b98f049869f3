import Glibc
import PollExecutor
import PostgresClient
import Support
import Testing

@Suite("Postgres connection loss")
struct PostgresLossTests {
  private let sleep = PostgresStatement("sleep", "SELECT pg_sleep($1)")
  private let one = PostgresStatement("one", "SELECT 1")
  private let terminateOthers = PostgresStatement(
    unprepared: """
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()
      """)

  @Test("a lost connection fails all that is in flight with an unknown outcome, and later calls as not run")
  func inFlight() async throws {
    try await withTestDatabase { conninfo in
      let killer = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      let connection = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      let tasks = (0..<10).map { _ in Task { try await connection.query(sleep, [3600.0]) } }
      try await eventually("a sleeping statement") {
        try await killer.query(
          PostgresStatement(
            unprepared: """
              SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'
              """)
        ).count == 1
      }
      try await killer.query(terminateOthers)
      for task in tasks {
        let error = await #expect(throws: PostgresError.self) { try await task.value }
        #expect(error?.isConnectionLost == true && error?.isTransient == true)
        #expect(error?.sqlState == "57P01")
      }
      await connection.waitUntilClosed()
      #expect(connection.isClosed)
      let error = await #expect(throws: PostgresError.self) { try await connection.query(one) }
      #expect(error?.kind == .connectionFailed && error?.isTransient == true)
      await killer.close()
    }
  }

  @Test("a session that owes an answer for too long is lost, and its statement is cancelled at the server")
  func silent() async throws {
    try await withTestDatabase { conninfo in
      let witness = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      var configuration = testConfiguration(conninfo)
      configuration.answerTimeout = .seconds(1)
      let connection = try await PostgresConnection.connect(configuration, logger: .postgresTests)
      let error = await #expect(throws: PostgresError.self) { try await connection.query(sleep, [3600.0]) }
      #expect(error?.isConnectionLost == true && error?.isTransient == true)
      #expect(error?.message.contains("no answer for 1.0 seconds") == true)
      await connection.waitUntilClosed()
      try await eventually("the server's process has ended") {
        try await witness.query(
          PostgresStatement(
            unprepared: """
              SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
              """)
        ).isEmpty
      }
      await witness.close()
    }
  }

  @Test("a session is silent only while it owes answers, and each answer counts")
  func notSilent() async throws {
    try await withTestDatabase { conninfo in
      var configuration = testConfiguration(conninfo)
      configuration.answerTimeout = .seconds(2)
      let connection = try await PostgresConnection.connect(configuration, logger: .postgresTests)
      try await connection.query(one)
      try await Task.sleep(for: .seconds(3))
      let tasks = (0..<4).map { _ in Task { try await connection.query(sleep, [0.8]) } }
      for task in tasks { _ = try await task.value }
      #expect(!connection.isClosed)
      await connection.close()
    }
  }

  @Test("an idle connection notices by itself that its backend was terminated")
  func idle() async throws {
    try await withTestDatabase { conninfo in
      let killer = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      let connection = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      try await killer.query(terminateOthers)
      await connection.waitUntilClosed()
      await killer.close()
    }
  }

  @Test("a pool whose backends were all terminated replaces them and serves again")
  func pool() async throws {
    try await withTestDatabase { conninfo in
      let killer = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      let pool = PostgresPool(testConfiguration(conninfo), logger: .postgresTests)
      for round in 1...3 {
        try await withThrowingDiscardingTaskGroup { group in
          for _ in 0..<4 { group.addTask { _ = try await pool.withTransaction { try await $0.query(sleep, [0.05]) } } }
        }
        try await eventually("a pool that does not grow") { pool.status.connecting == 0 }
        let (before, open) = (pool.reconnects, pool.status.open)
        #expect(open > 0, "round \(round)")
        try await killer.query(terminateOthers)
        try await eventually("\(open) replaced connections") {
          pool.reconnects == before + open && pool.status.open == open
        }
        #expect(try await pool.query(one).count == 1)
      }
      #expect(await pool.ping())
      await pool.close()
      #expect(await pool.ping() == false)
      let error = await #expect(throws: PostgresError.self) { try await pool.query(one) }
      #expect(error?.kind == .closed && error?.isTransient == false)
      await killer.close()
    }
  }

  @Test("closing waits for what was accepted, and refuses what comes later")
  func closing() async throws {
    try await withTestDatabase { conninfo in
      let connection = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      let task = Task { try await connection.query(sleep, [0.2]) }
      try await connection.query(one)
      await connection.close()
      #expect(try await task.value.count == 1)
      let error = await #expect(throws: PostgresError.self) { try await connection.query(one) }
      #expect(error?.kind == .closed)
      await connection.close()
    }
  }

  @Test("a connection without a reference ends its session")
  func dropped() async throws {
    try await withTestDatabase { conninfo in
      let watcher = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      func open() async throws -> Int32 {
        let connection = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
        try await connection.query(one)
        return await connection.backendPID
      }
      let pid = try await open()
      try await eventually("the end of the session") {
        try await watcher.query(PostgresStatement("gone", "SELECT 1 FROM pg_stat_activity WHERE pid = $1"), [pid])
          .isEmpty
      }
      await watcher.close()
    }
  }
}

@Suite("Postgres connecting")
struct PostgresConnectTests {
  private func failure(_ conninfo: String, _ change: (inout PostgresConfiguration) -> Void = { _ in }) async
    -> PostgresError?
  {
    var configuration = testConfiguration(conninfo)
    change(&configuration)
    return await #expect(throws: PostgresError.self) {
      let connection = try await PostgresConnection.connect(configuration, logger: .postgresTests)
      await connection.close()
    }
  }

  @Test("a wrong password is a clear error, not worth a repetition, and without the password")
  func wrongPassword() async throws {
    try await withTestDatabase { conninfo in
      // The server trusts every connection over loopback, but still refuses a role without the right to log in.
      let connection = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      let role = "nologin_\(UInt32.random(in: 0 ... .max))"
      try await connection.execute(script: "CREATE ROLE \(role)")
      let authority = try #require(conninfo.split(separator: "@").last)
      let error = await failure("postgresql://\(role):s3cret@\(authority)")
      #expect(error?.kind == .connectionFailed && error?.sqlState == "28000" && error?.isTransient == false)
      #expect(error?.description.contains("s3cret") == false)
      #expect(error?.description.contains("not permitted to log in") == true)

      let pool = PostgresPool(
        testConfiguration("postgresql://\(role):s3cret@\(authority)"), logger: .postgresTests)
      let refused = await #expect(throws: PostgresError.self) {
        try await pool.query(PostgresStatement("one", "SELECT 1"))
      }
      #expect(refused?.sqlState == "28000")
      await pool.close()
      try await connection.execute(script: "DROP ROLE \(role)")
      await connection.close()
    }
  }

  @Test("an unknown database is named")
  func unknownDatabase() async throws {
    let server = try postgresTestVariable("BATON_TEST_DATABASE_URL")
    let error = await failure(databaseURL(server, "absent"))
    #expect(error?.sqlState == "3D000" && error?.message.contains("absent") == true)
  }

  @Test("a refused connection names host and port, and may be tried again")
  func refused() async throws {
    let error = await failure("postgresql://me:s3cret@127.0.0.1:1/database")
    #expect(error?.kind == .connectionFailed && error?.isTransient == true)
    #expect(error?.message.contains("127.0.0.1:1") == true && error?.message.contains("refused") == true)
    #expect("\(try #require(error))".contains("s3cret") == false)
  }

  @Test("an unknown host is named")
  func unknownHost() async throws {
    let error = await failure("postgresql://me:s3cret@no-such-host.invalid/database")
    #expect(error?.kind == .connectionFailed && error?.message.contains("no-such-host.invalid") == true)
  }

  @Test("a connection string that cannot be read, and a faulty parameter, are errors that do not quote the password")
  func unreadable() async throws {
    for conninfo in ["postgresql://me:s3cret@[::1/x", "password=s3cret host", "postgresql://me:s3cret@h/x?sslmode=odd"]
    {
      let error = await failure(conninfo)
      #expect(error?.kind == .connectionFailed)
      #expect(error?.description.contains("s3cret") == false, "\(conninfo)")
      #expect(!"\(PostgresConfiguration(conninfo: conninfo, applicationName: "x"))".contains("s3cret"))
    }
  }

  @Test("a setting that does not exist is an error of the connecting")
  func unknownSetting() async throws {
    let server = try postgresTestVariable("BATON_TEST_DATABASE_URL")
    let error = await failure(server) { $0.sessionSettings = ["no_such_setting": "1"] }
    #expect(error?.sqlState == "42704" && error?.message.contains("no_such_setting") == true)
  }

  @Test("a host that accepts and says nothing is given up after connectTimeout, or when the task is cancelled")
  func silentHost() async throws {
    let silent = try SilentServer()
    let conninfo = "postgresql://me@127.0.0.1:\(silent.port)/database"
    let error = await failure(conninfo) { $0.connectTimeout = .milliseconds(100) }
    #expect(error?.message.contains("no log-in was finished") == true && error?.isTransient == true)
    let task = Task {
      try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
    }
    await Task.yield()
    task.cancel()
    let cancelled = await #expect(throws: PostgresError.self) { try await task.value }
    #expect(cancelled?.kind == .cancelled)
    silent.close()
  }

  @Test("a pool without a server fails its callers after acquireTimeout with the reason")
  func poolWithoutServer() async throws {
    var configuration = testConfiguration("postgresql://me@127.0.0.1:1/database")
    configuration.acquireTimeout = .milliseconds(200)
    let pool = PostgresPool(configuration, logger: .postgresTests)
    // The first callers may be gone before the first attempt has failed.
    try await eventually("an error that names the reason") {
      let error = await #expect(throws: PostgresError.self) {
        try await pool.query(PostgresStatement("one", "SELECT 1"))
      }
      #expect(error?.kind == .connectionFailed && error?.isTransient == true)
      #expect(error?.message.contains("acquireTimeout") == true)
      return error?.message.contains("refused") == true
    }
    #expect(pool.status.waiting == 0)
    await pool.close()
  }
}

/// Accepts connections, as the kernel does for a listening socket, and never answers.
struct SilentServer {
  let descriptor: Int32
  let port: UInt16

  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let socket = descriptor
    let code = withUnsafeMutablePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(socket, address, length) == 0 && listen(socket, 8) == 0 && getsockname(socket, address, &length) == 0
      }
    }
    try #require(code)
    port = UInt16(bigEndian: address.sin_port)
  }

  func close() { _ = Glibc.close(descriptor) }
}
