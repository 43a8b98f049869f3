import Testing

@testable import PostgresClient

@Suite("Postgres errors")
struct ErrorTests {
  @Test(
    "conditions have their names, or those of their classes",
    arguments: [
      ("40P01", "deadlock_detected"), ("23505", "unique_violation"), ("57P01", "admin_shutdown"),
      ("08999", "connection_exception"), ("2F005", "sql_routine_exception"), ("22XXX", "data_exception"),
    ])
  func names(state: String, name: String) {
    #expect(PostgresError(.server(state), "").conditionName == name)
  }

  @Test(
    "what passes by itself is transient",
    arguments: ["40001", "40P01", "57P01", "57P03", "08006", "53300", "25006", "55P03"])
  func transient(state: String) {
    #expect(PostgresError(.server(state), "").isTransient)
  }

  @Test(
    "a fault of the statement or of the account is not transient",
    arguments: ["23505", "42601", "22P02", "28P01", "57014", "25P02", "XX000"])
  func permanent(state: String) {
    #expect(!PostgresError(.server(state), "").isTransient)
  }

  @Test("a lost connection is transient, a closed one and a cancelled call are not")
  func kinds() {
    #expect(PostgresError(.connectionLost, "").isTransient && PostgresError(.connectionLost, "").isConnectionLost)
    #expect(PostgresError(.connectionFailed, "").isTransient)
    #expect(!PostgresError(.connectionFailed, "", sqlState: "28P01").isTransient)
    for kind in [PostgresError.Kind.closed, .cancelled, .encoding, .decoding] {
      #expect(!PostgresError(kind, "").isTransient)
    }
  }

  @Test("a description has statement, condition and constraint, and never the values of a row")
  func description() {
    var error = PostgresError(.server("23505"), "duplicate key value violates unique constraint", statement: "add")
    error.constraint = "one_each"
    error.detail = "Key (email)=(me@example.org) already exists."
    #expect("\(error)".contains("add") && "\(error)".contains("unique_violation") && "\(error)".contains("one_each"))
    #expect(!"\(error)".contains("example.org"))
    let input = PostgresError(.server("22P02"), #"invalid input syntax for type uuid: "secret""#)
    #expect(!"\(input)".contains("secret") && "\(input)".contains("invalid_text_representation"))
  }
}

@Suite("Postgres configuration")
struct ConfigurationTests {
  @Test(
    "a description shows where, and no password",
    arguments: [
      ("postgresql://me:s3cret@db.example:5433/shop?sslmode=require", "postgresql://me@db.example:5433/shop"),
      ("postgresql://me:s3cret@a,b:7/shop", "postgresql://me@a:5432,b:7/shop"),
      ("host=h user=me password=s3cret dbname=shop", "postgresql://me@h:5432/shop"),
      ("postgresql:///shop", "postgresql://localhost:5432/shop"),
      ("s3cret", "postgresql://(cannot be read)"),
    ])
  func description(conninfo: String, text: String) {
    let configuration = PostgresConfiguration(conninfo: conninfo, applicationName: "test")
    #expect("\(configuration)" == text)
    #expect(!String(reflecting: configuration).contains("s3cret"))
    var dumped = ""
    dump(configuration, to: &dumped)
    #expect(!dumped.contains("s3cret"))
  }

  @Test("session settings become options behind those of the connection string, with blanks and backslashes kept")
  func options() throws {
    var configuration = PostgresConfiguration(
      conninfo: "postgresql:///shop?options=-c%20geqo%3Doff", applicationName: "test")
    configuration.sessionSettings = ["search_path": #""a b", c\d"#, "statement_timeout": "50"]
    let parameters = try configuration.parameters()
    let options = parameters.last { $0.keyword == "options" }?.value
    #expect(options == #"-c geqo=off -c search_path="a\ b",\ c\\d -c statement_timeout=50"#)
    #expect(parameters.last { $0.keyword == "application_name" }?.value == "test")
  }

  @Test("keepalives of the connection string win over the defaults")
  func keepalives() throws {
    let configuration = PostgresConfiguration(conninfo: "host=h keepalives_idle=99", applicationName: "test")
    let parameters = try configuration.parameters()
    #expect(parameters.last { $0.keyword == "keepalives_idle" }?.value == "99")
    #expect(parameters.last { $0.keyword == "tcp_user_timeout" }?.value == "20000")
  }

  @Test("libpq's message loses the password and the lines for developers, and gives its SQLSTATE")
  func redaction() {
    let configuration = PostgresConfiguration(conninfo: "host=h password=s3cret", applicationName: "test")
    let message = configuration.redacted(
      "failed: FATAL:  28P01: no s3cret for you\nLOCATION:  auth_failed, auth.c:335\n")
    #expect(message == "failed: FATAL:  28P01: no *** for you")
    let (text, state) = PostgresConnection.takeState(outOf: message)
    #expect(state == "28P01" && text == "failed: FATAL: no *** for you")
    #expect(PostgresConnection.takeState(outOf: "connection refused").state == nil)
  }

  @Test("a channel's name is quoted as an identifier")
  func quoting() {
    #expect(PostgresListener.quoted("news") == #""news""#)
    #expect(PostgresListener.quoted(#"a"; DROP"#) == #""a""; DROP""#)
  }
}

@Suite("Postgres replies")
struct ReplyTests {
  @Test("the first answer counts, before or after a task waits")
  func first() async throws {
    let early = PostgresReply<Int>()
    #expect(early.complete(.success(1)))
    #expect(!early.complete(.success(2)))
    #expect(try await early.outcome().get() == 1)

    let late = PostgresReply<Int>()
    async let value = late.value {}
    #expect(late.complete(.success(3)))
    #expect(try await value == 3)
  }

  @Test("many threads may answer: one answer counts, once")
  func race() async {
    for _ in 0..<200 {
      let reply = PostgresReply<Int>()
      let winners = await withTaskGroup(of: Bool.self) { group in
        for number in 0..<4 { group.addTask { reply.complete(.success(number)) } }
        return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
      }
      #expect(winners == 1 && reply.isAnswered)
      _ = await reply.outcome()
    }
  }

  @Test("a cancelled task is answered with an error, and the cancellation is reported once")
  func cancellation() async {
    let reply = PostgresReply<Int>()
    let (reports, report) = AsyncStream.makeStream(of: Void.self)
    let task = Task { try await reply.value { report.yield() } }
    task.cancel()
    let error = await #expect(throws: PostgresError.self) { try await task.value }
    #expect(error?.kind == .cancelled)
    #expect(!reply.complete(.success(1)))
    for await _ in reports { break }
  }
}
