import PostgresClient
import ReviewStore
import Testing

@Suite("Store faults")
struct StoreFaultTests {
  @Test(
    "an error of Postgres says what it is about",
    arguments: [
      (PostgresError(.connectionFailed, "bad host", sqlState: "22023"), StoreFaultCause.address),
      (PostgresError(.connectionFailed, "refused"), .noConnection),
      (PostgresError(.connectionFailed, "no such role", sqlState: "28000"), .noConnection),
      (PostgresError(.connectionLost, "gone"), .noConnection), (PostgresError(.closed, "closed"), .noConnection),
      (PostgresError(.cancelled, "cancelled"), .cancelled), (PostgresError(.encoding, "NUL"), .parameter),
      (PostgresError(.decoding, "not a number"), .answer),
      (PostgresError(.server("57P01"), "shutdown"), .noSession),
      (PostgresError(.server("57P04"), "dropped"), .noSession), (PostgresError(.server("53300"), "full"), .noSession),
      (PostgresError(.server("40P01"), "deadlock"), .lostRace), (PostgresError(.server("40001"), "race"), .lostRace),
      (PostgresError(.server("57014"), "too slow"), .timeout), (PostgresError(.server("42P01"), "no table"), .schema),
      (PostgresError(.server("42703"), "no column"), .schema), (PostgresError(.server("22003"), "range"), .value),
      (PostgresError(.server("23514"), "check"), .constraint("check_violation")),
      (PostgresError(.server("42501"), "no right"), .other), (PostgresError(.server("53100"), "disk full"), .other),
    ])
  func causes(_ error: PostgresError, _ cause: StoreFaultCause) {
    #expect((error as any StoreFault).cause == cause)
  }

  @Test(
    "what is about one row is no reason to give up the others",
    arguments: [
      ("22003", true), ("23514", true), ("40P01", true), ("40001", true), ("57P01", false), ("42501", false),
      ("54000", false), ("57014", false),
    ])
  func oneRow(_ state: String, _ isAboutOneRow: Bool) {
    #expect(PostgresError(.server(state), "no").cause.isAboutOneRow == isAboutOneRow)
    #expect(PostgresError(.encoding, "NUL").cause.isAboutOneRow)
    #expect(!PostgresError(.connectionLost, "gone").cause.isAboutOneRow)
  }

  @Test("a right may be lacking for a statement, and for a connection")
  func rights() {
    #expect(PostgresError(.server("42501"), "no right").lacksRight)
    #expect(PostgresError(.connectionFailed, "no right", sqlState: "42501").lacksRight)
    #expect(!PostgresError(.server("42P01"), "no table").lacksRight)
  }
}
