import PostgresClient
import ReviewStore
import Reviews
import Testing

@Suite("Ledger faults")
struct LedgerFaultTests {
  @Test(
    "an error says what its caller can do",
    arguments: [
      (PostgresError(.connectionFailed, "refused"), LedgerFaultKind.unreachable),
      (PostgresError(.connectionFailed, "bad host", sqlState: "22023"), .unreachable),
      (PostgresError(.connectionLost, "gone"), .unreachable), (PostgresError(.closed, "closed"), .unreachable),
      (PostgresError(.cancelled, "cancelled"), .unreachable),
      (PostgresError(.server("40P01"), "deadlock"), .busy), (PostgresError(.server("57014"), "too slow"), .busy),
      (PostgresError(.server("25006"), "read-only"), .busy), (PostgresError(.server("55P03"), "lock"), .busy),
      (PostgresError(.server("53100"), "disk full"), .busy), (PostgresError(.server("57P01"), "shutdown"), .busy),
      (PostgresError(.server("42501"), "no right"), .refused), (PostgresError(.encoding, "NUL"), .refused),
      (PostgresError(.decoding, "not a number"), .refused),
      (PostgresError(.server("22003"), "out of range"), .aboutRow),
      (PostgresError(.server("23514"), "check"), .aboutRow), (PostgresError(.server("XX001"), "damaged"), .aboutRow),
      (PostgresError(.server("54000"), "too large"), .aboutRow),
    ])
  func kinds(_ error: PostgresError, _ kind: LedgerFaultKind) {
    #expect(LedgerFaultKind(of: error) == kind)
  }

  @Test(
    "what a trigger of the application may answer may be about one row, and what passes by itself is not, but for a lock",
    arguments: [
      ("P0001", true), ("P0004", true), ("42501", true), ("21000", true), ("58030", true), ("58P01", true),
      ("XX000", true), ("XX001", true), ("22001", true), ("23514", true), ("44000", true), ("AB123", true),
      ("55P03", true), ("57014", false), ("40001", false), ("40P01", false), ("53100", false), ("57P01", false),
      ("25006", false),
    ])
  func mayBeAboutOneRow(_ state: String, _ expected: Bool) {
    #expect(PostgresError(.server(state), "no").mayBeAboutOneRow == expected)
    #expect(!PostgresError(.connectionLost, "gone", sqlState: state).mayBeAboutOneRow)
    #expect(
      RowFault(PostgresError(.server(state), "no")).faultKind == (state == "55P03" ? .rowLocked : .aboutRow)
        || !expected)
  }

  @Test("what is no error of a ledger is not repeated")
  func others() {
    #expect(LedgerFaultKind(of: CancellationError()) == .refused)
    #expect(LedgerFaultKind.allCases.filter(\.isRefusal) == [.refused, .aboutRow])
  }
}
