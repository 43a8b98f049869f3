import PostgresClient
import Testing

@Suite("Statements")
struct StatementTests {
  @Test("statements are equal if name and SQL are")
  func equality() {
    #expect(Statement("a", "SELECT 1") == Statement("a", "SELECT 1"))
    #expect(Statement("a", "SELECT 1") != Statement("a", "SELECT 2"))
    #expect(Statement("a", "SELECT 1") != Statement("b", "SELECT 1"))
  }
}
