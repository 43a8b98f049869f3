import Testing

@testable import PostgresClient

@Suite("Pipeline ledger")
struct PipelineLedgerTests {
  private typealias Ledger = PipelineLedger<String, Int>
  private let entry = PreparedStatements.Entry(
    key: .init(statement: PostgresStatement("find", "SELECT $1"), types: [20]), serverName: "find")
  private let duplicate = PostgresError(.server("23505"), "duplicate key")

  @Test("a request is finished by its sync, not by its last result")
  func sync() {
    var ledger = Ledger()
    ledger.append("a", [.execute(nil, label: "x")])
    check(ledger.answer(1))
    check(ledger.end())
    check(ledger.current == nil && !ledger.isEmpty)
    let finished = ledger.sync()
    check(finished?.request == "a" && (try? finished?.outcome.get()) == [1])
    check(ledger.isEmpty)
  }

  @Test("answers go to the requests in the order of their sending; the result of a preparation is not a request's rows")
  func order() throws {
    var ledger = Ledger()
    ledger.append("a", [.prepare(entry), .execute(entry, label: "find")])
    ledger.append("b", [.execute(entry, label: "find"), .execute(nil, label: "x")])
    for number in [0, 1] { check(ledger.answer(number) && ledger.end()) }
    let first = try unwrap(ledger.sync())
    check(try first.request == "a" && first.outcome.get() == [1])
    for number in [2, 3] { check(ledger.answer(number) && ledger.end()) }
    let second = try unwrap(ledger.sync())
    check(try second.request == "b" && second.outcome.get() == [2, 3])
  }

  @Test("an error fails its request, names its statement, and leaves the next request alone")
  func failure() throws {
    var ledger = Ledger()
    ledger.append("a", [.execute(nil, label: "x"), .execute(nil, label: "y"), .execute(nil, label: "z")])
    ledger.append("b", [.execute(nil, label: "x")])
    check(ledger.answer(1) && ledger.end())
    check(ledger.fail(duplicate) && ledger.end())
    check(ledger.skip() && ledger.end())
    let first = try unwrap(ledger.sync())
    let error = #expect(throws: PostgresError.self) { try first.outcome.get() }
    check(error?.statement == "y" && error?.isUniqueViolation == true && !first.isStale)
    check(ledger.answer(2) && ledger.end())
    check((try ledger.sync()?.outcome.get()) == [2])
  }

  @Test("an error at the sync, after all results, fails the request")
  func failureAtCommit() throws {
    var ledger = Ledger()
    ledger.append("a", [.execute(nil, label: "x")])
    check(ledger.answer(1) && ledger.end())
    check(ledger.fail(duplicate) && ledger.end())
    let finished = try unwrap(ledger.sync())
    #expect(throws: PostgresError.self) { try finished.outcome.get() }
  }

  @Test("a failed preparation, and one that was skipped, are reported as not prepared")
  func unprepared() throws {
    let other = PreparedStatements.Entry(
      key: .init(statement: PostgresStatement("b", "SELECT"), types: []), serverName: "b")
    var ledger = Ledger()
    ledger.append("a", [.prepare(entry), .execute(entry, label: "find"), .prepare(other), .execute(other, label: "b")])
    check(ledger.fail(duplicate) && ledger.end())
    for _ in 0..<3 { check(ledger.skip() && ledger.end()) }
    let finished = try unwrap(ledger.sync())
    check(finished.unprepared == [entry, other] && !finished.isStale)
  }

  @Test("a prepared statement that is gone makes the request stale", arguments: ["26000", "0A000"])
  func stale(state: String) throws {
    var ledger = Ledger()
    ledger.append("a", [.execute(entry, label: "find")])
    check(ledger.fail(PostgresError(.server(state), "gone")) && ledger.end())
    let finished = try unwrap(ledger.sync())
    check(finished.isStale && finished.unprepared == [entry])
  }

  @Test("what was not asked for is refused")
  func unexpected() {
    var ledger = Ledger()
    check(!ledger.answer(1))
    check(!ledger.fail(duplicate))
    check(!ledger.skip())
    check(!ledger.end())
    check(ledger.sync() == nil)
    ledger.append("a", [.execute(nil, label: "x")])
    check(!ledger.end())
    check(ledger.answer(1))
    check(!ledger.answer(2))
  }

  @Test("on the loss of the connection every open request comes out once, in order")
  func removeAll() {
    var ledger = Ledger()
    for name in ["a", "b", "c"] { ledger.append(name, [.execute(nil, label: "x")]) }
    check(ledger.removeAll() == ["a", "b", "c"])
    check(ledger.isEmpty && ledger.removeAll().isEmpty)
  }
}

@Suite("Prepared statements")
struct PreparedStatementsTests {
  private let key = PreparedStatements.Key(statement: PostgresStatement("find", "SELECT $1"), types: [20])

  @Test("a statement is new once, and again after it was removed, under another name")
  func names() {
    var statements = PreparedStatements()
    let (first, isFirstNew) = statements.use(key)
    check(first.serverName == "find" && isFirstNew)
    check(statements.use(key) == (first, false))
    statements.remove(first)
    let (second, isSecondNew) = statements.use(key)
    check(second.serverName == "find#2" && isSecondNew)
    // A late answer to the first use does not take out the second.
    statements.remove(first)
    check(statements.use(key) == (second, false))
  }

  @Test("other parameter types and another text under the same name are other plans")
  func variants() {
    var statements = PreparedStatements()
    let others = [
      PreparedStatements.Key(statement: PostgresStatement("find", "SELECT $1"), types: [25]),
      PreparedStatements.Key(statement: PostgresStatement("find", "SELECT $1 + 1"), types: [20]),
    ]
    let names = ([key] + others).map { statements.use($0).entry.serverName }
    check(Set(names).count == 3)
  }
}
