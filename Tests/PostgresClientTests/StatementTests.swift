import PostgresClient
import Testing

@Suite("Statements")
struct StatementTests {
  @Test("statements are equal if name and SQL are")
  func equality() {
    #expect(PostgresStatement("a", "SELECT 1") == PostgresStatement("a", "SELECT 1"))
    #expect(PostgresStatement("a", "SELECT 1") != PostgresStatement("a", "SELECT 2"))
    #expect(PostgresStatement("a", "SELECT 1") != PostgresStatement("b", "SELECT 1"))
  }
}
