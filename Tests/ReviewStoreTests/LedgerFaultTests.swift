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

  @Test("what is no error of a ledger is not repeated")
  func others() {
    #expect(LedgerFaultKind(of: CancellationError()) == .refused)
    #expect(LedgerFaultKind.allCases.filter(\.isRefusal) == [.refused, .aboutRow])
  }
}
