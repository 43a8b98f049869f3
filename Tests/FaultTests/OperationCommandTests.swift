import Foundation
import PostgresClient
import Primitives
import Support
import Testing

@Suite("Commands that change reviews", .timeLimit(.minutes(5)))
struct OperationCommandTests {
  @Test("an operation on named reviews prints one line with --json, also in a dry run and if some are refused")
  func namedAsJSON() async throws {
    try await withTestCluster { cluster in
      let ids = try await cluster.test.insert(2).map(\.lowercase)
      func expect(
        _ result: (status: Int32, JSONValue), _ status: Int32, matched: Int64, skipped: Int64, _ ids: [String],
        isDry: Bool = false
      ) {
        #expect(result.status == status, "\(result)")
        #expect(result.1["matched"] == .integer(matched) && result.1["skipped"] == .integer(skipped), "\(result)")
        #expect(result.1["changed"] == .integer(isDry ? 0 : Int64(ids.count)), "\(result)")
        #expect(result.1["ids"] == .array(ids.map { .string($0) }), "\(result)")
      }
      // A dry run names those that would be changed.
      let filtered = try await cluster.json("cancel", "--owner", "org:acme", "--dry-run")
      #expect(filtered.1["matched"] == .integer(2) && filtered.1["changed"] == .integer(0), "\(filtered)")
      guard case .array(let named)? = filtered.1["ids"] else {
        Issue.record("\(filtered)")
        return
      }
      #expect(Set(named) == Set(ids.map { .string($0) }))
      expect(
        try await cluster.json("cancel", ids[1], ids[0], "--dry-run"), 0, matched: 2, skipped: 0, [ids[1], ids[0]],
        isDry: true)
      // A review that is named twice is one.
      expect(
        try await cluster.json("cancel", ids[0], ids[0].uppercased(), "--dry-run"), 0, matched: 1, skipped: 0,
        [ids[0]], isDry: true)
      expect(try await cluster.json("cancel", String(ids[0].prefix(13)), ids[0]), 0, matched: 1, skipped: 0, [ids[0]])
      expect(try await cluster.json("cancel", ids[0], ids[1]), 1, matched: 2, skipped: 1, [ids[1]])
      expect(try await cluster.json("retry", ids[0]), 0, matched: 1, skipped: 0, [ids[0]])
      expect(try await cluster.json("release", ids[0], ids[1], "--dry-run"), 0, matched: 2, skipped: 2, [])
      expect(try await cluster.json("release", ids[0]), 1, matched: 1, skipped: 1, [])
    }
  }

  @Test("a locked review costs only itself: the others are cancelled, the result is printed, and the command fails")
  func locked() async throws {
    try await withTestCluster { cluster in
      let ids = try await cluster.test.insert(4).map(\.lowercase)
      let person = try await PostgresConnection.connect(
        testConfiguration(cluster.test.conninfo), logger: .postgresTests)
      try await person.withTransaction { person in
        try await person.query(
          PostgresStatement(unprepared: "SELECT FROM code_reviews WHERE id = '\(ids[1])' FOR UPDATE"))
        let matching = try await cluster.json("cancel", "--owner", "org:acme", "--yes")
        #expect(matching.status == 1)
        #expect(matching.1["matched"] == .integer(4) && matching.1["changed"] == .integer(3), "\(matching)")
        #expect(matching.1["locked"] == .integer(1) && matching.1["skipped"] == .integer(0), "\(matching)")
        let named = try await cluster.run("retry", ids[1], ids[0])
        #expect(named.status == 1 && named.output.contains("\(ids[1]): another transaction has locked it"), "\(named)")
        #expect(named.output.contains("\(ids[0])  pending, attempt 2"), "\(named)")
      }
      await person.close()
      #expect(try await cluster.run("cancel", ids[1]).status == 0)
    }
  }
}
