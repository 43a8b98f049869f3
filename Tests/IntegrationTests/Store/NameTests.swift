import FoundationEssentials
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Names in the database")
struct NameTests {
  private static let columns: [(column: String, fault: @Sendable (String) -> String?)] = [
    ("base_ref", OutsideName.refFault), ("head_ref", OutsideName.refFault), ("head_sha", OutsideName.commitFault),
    ("repo_full_name", OutsideName.repositoryFault),
  ]

  /// Tries to write a name; a fault with the constraint of another column counts as a mistake.
  private func isTaken(_ name: String, _ column: String, _ test: TestStore) async throws -> Bool {
    do {
      _ = try await test.pool.query(PostgresStatement(unprepared: "UPDATE code_reviews SET \(column) = $1"), [name])
      return true
    } catch {
      #expect(error.constraint == "code_reviews_\(column)", "\(error)")
      return false
    }
  }

  @Test("the database takes the names that the program takes, and no others")
  func same() async throws {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    let parts = [
      "a", "Z", "0", ".", "..", "/", "//", "-", "_", "@", "@{", ".lock", "~", "^", ":", "?", "*", "[", "]", "\\", " ",
      "\t", "\n", "\u{7F}",
      "\u{1}", "\u{85}", "ü", "日", "\u{200B}", "$", "'", "`", "{", "+", "main",
    ]
    var names =
      parts + [
        "--upload-pack=x", "main\n", "refs/pull/7/head", "acme/shop", "a/b/c", "a/./b", "../b", "6dcb09b5", "HEAD",
      ]
    for _ in 0..<300 {
      names.append(
        (0..<Int.random(in: 1...5, using: &generator)).map { _ in parts.randomElement(using: &generator) ?? "" }
          .joined())
    }
    try await withTestStore { test in
      _ = try await test.insert(1)
      for (column, fault) in Self.columns {
        for name in names + [""] {
          let isTaken = try await isTaken(name, column, test)
          #expect(isTaken == (fault(name) == nil), "\(column) \(name.debugDescription), seed \(seed)")
        }
      }
    }
  }

  @Test(
    "an insert with a name that is refused says which column, and what is taken",
    arguments: [
      ("base_ref", "--upload-pack=x"), ("head_ref", "a\nb"), ("head_sha", "-x"), ("repo_full_name", "../.."),
      ("pr_author", "a\u{1B}b"),
      ("pr_url", "javascript:alert(1)"),
    ])
  func insert(_ column: String, _ value: String) async throws {
    try await withTestStore { test in
      let values = [
        "repo_full_name": "acme/shop", "pr_url": "https://h/x", "pr_author": "ada", "base_ref": "main", "head_ref": "f",
        "head_sha": "0a",
      ].merging([column: value]) { $1 }
      let error = await #expect(throws: PostgresError.self) {
        _ = try await test.pool.query(
          PostgresStatement(
            unprepared: """
              INSERT INTO code_reviews (owner_type, owner_id, platform, pr_number, pr_title, repo_full_name, pr_url, pr_author,
                                        base_ref, head_ref, head_sha)
              VALUES ('org', 'acme', 'github', 7, 'T', $1, $2, $3, $4, $5, $6)
              """),
          ["repo_full_name", "pr_url", "pr_author", "base_ref", "head_ref", "head_sha"].map { values[$0] })
      }
      #expect(error?.constraint == "code_reviews_\(column)" && error?.sqlState == PostgresSQLState.checkViolation)
      #expect(error?.message.contains("code_reviews.\(column) is not ") == true)
    }
  }

  @Test("a row from before the rules does not stop the upgrade, and can be leased and ended")
  func older() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      let names = try #require(Migrator.migrations.first { $0.name == "names" })
      // As before the step of the schema that brought the rules.
      for sql in [
        "ALTER TABLE code_reviews DISABLE TRIGGER code_reviews_named",
        "UPDATE code_reviews SET base_ref = '--upload-pack=x', head_ref = E'a\\nb'",
        "DELETE FROM baton_migrations WHERE version = \(names.version)",
      ] { try await test.sql(sql) }
      try await test.pool.withConnection { try await $0.execute(script: names.sql) }
      try await test.sql("ALTER TABLE code_reviews ENABLE TRIGGER code_reviews_named")
      try await test.signOn(test.holder)
      let ticket = try await test.claim()[0].ticket
      guard case .leased(let review) = try await test.lease([ticket])[0] else {
        Issue.record("not leased")
        return
      }
      #expect(OutsideName.fault(of: review)?.hasPrefix("base_ref: ") == true)
      let lease = Lease(ticket, holder: test.holder.id, until: review.leasedUntil)
      #expect(try await test.store.fail(lease, code: .nameRefused, message: "refused") != nil)
      #expect(try await test.row(id).errorCode == "name_refused")
    }
  }
}
