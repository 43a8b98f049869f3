import Foundation
import PostgresClient
import ReviewStore
import Testing

@Suite("Statements")
struct StatementTests {
  private static let sources = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Sources/ReviewStore").standardized

  /// The names of the prepared statements in a source file.
  private func names(in source: String) -> [String] {
    source.matches(
      of: /(?:PostgresStatement|holderWrite|deliveries|countDeliveries|page|end)\(\s*(?:\.\w+, )?"([a-z_]+)"/
    ).map {
      String($0.output.1)
    }
  }

  @Test("each statement of the source is registered once, so that every test of plans and rights looks at it")
  func registered() throws {
    let files = try #require(FileManager.default.enumerator(at: Self.sources, includingPropertiesForKeys: nil))
    var found: [String] = []
    for case let file as URL in files where file.pathExtension == "swift" {
      found += names(in: try String(contentsOf: file, encoding: .utf8))
    }
    let registered = ReviewStore.statements.map(\.name)
    #expect(found.count > 100)
    // Those of a migration itself change the schema, with the rights of its owner.
    let others = Set(found).subtracting(registered).filter { !$0.hasPrefix("migrate_") }
    #expect(others.sorted() == [], "not in ReviewStore.statements")
    #expect(Set(registered).subtracting(found).sorted() == [], "in ReviewStore.statements alone")
    #expect(registered.count == Set(registered).count)
  }

  @Test("each statement begins with its name, by which pg_stat_activity shows it")
  func comments() {
    for statement in ReviewStore.statements {
      #expect(statement.sql.hasPrefix("/* baton:\(statement.name) */"), "\(statement.name)")
    }
  }
}
