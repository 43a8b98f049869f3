internal import Foundation
package import PostgresClient
internal import ReviewStore

/// The accounts of a page in `deploy`, made by the very text that stands there, with names of this test's own: a server's accounts are
/// shared by all its databases.
package struct Accounts: Sendable {
  /// The database's URL, for a superuser.
  package private(set) var server: String
  /// Before each name.
  package let mark = "t\(UInt32.random(in: .min ... .max))_"
  private let page: String

  /// - Parameters:
  ///   - page: below `deploy`.
  ///   - server: the database's URL, for a superuser.
  package init(of page: String, on server: String) throws {
    self.server = server
    self.page = try String(
      contentsOf: Self.root.appendingPathComponent("deploy/\(page)"), encoding: .utf8)
  }

  /// The same accounts, with another database's URL.
  package func on(_ server: String) -> Accounts {
    var accounts = self
    accounts.server = server
    return accounts
  }

  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")

  /// The database's URL for an account.
  package func url(_ account: String) -> String {
    var parts = URLComponents(string: server) ?? URLComponents()
    parts.user = mark + account
    return parts.string ?? ""
  }

  /// The block behind `<!-- heading: name -->`, with this test's names in place of the page's.
  package func block(_ heading: String) throws -> String {
    guard let start = page.range(of: "<!-- \(heading) -->\n```"),
      let line = page[start.upperBound...].firstIndex(of: "\n"),
      let end = page[line...].range(of: "\n```")
    else { throw MissingBlock(heading: heading) }
    return String(page[line..<end.lowerBound]).replacing(/\b(baton_[a-z]+|baton(?= LOGIN| SET)|shop)\b/) { mark + $0.1 }
  }

  /// Runs the file that gives the roles their rights, as an operator does.
  package func grantRoles(schema: String) async throws {
    _ = try await runCommand(
      "/usr/bin/env",
      [
        "psql", "-X", "-q", "-v", "schema=\(schema)", "-v", "prefix=\(mark)baton_", "-f",
        Self.root.appendingPathComponent("deploy/postgres/roles.sql").path, server,
      ])
  }

  /// Removes all accounts of this test, when no database needs them any more.
  package func drop(_ connection: PostgresConnection) async throws {
    let names = try await connection.query(
      PostgresStatement(unprepared: "SELECT quote_ident(rolname) FROM pg_roles WHERE starts_with(rolname, '\(mark)')"))
    for row in names {
      try await connection.query(PostgresStatement(unprepared: "DROP ROLE \(row.decode(0, as: String.self))"))
    }
  }
}

/// Runs the body with a migrated schema `baton` and the accounts of a page in `deploy`, made in the page's order: the owner, who migrates,
/// the rights of the roles, then the accounts.
/// - Parameters:
///   - page: below `deploy`, with blocks `owner` and `accounts` under this title.
///   - title: of the blocks' headings: `rights: owner`.
///   - prepare: the script that makes the accounts, from the page's own.
///   - body: gets the accounts, and a pool of a superuser.
package func withAccounts(
  of page: String, _ title: String, isolation: isolated (any Actor)? = #isolation,
  prepare: (Accounts, _ script: String) throws -> String = { $1 },
  _ body: (Accounts, PostgresPool) async throws -> Void
) async throws {
  var made: Accounts?
  try await withTestDatabase { conninfo in
    let accounts = try Accounts(of: page, on: conninfo)
    made = accounts
    let admin = PostgresPool(testConfiguration(conninfo), logger: .postgresTests)
    do {
      try await admin.run("CREATE ROLE \(accounts.mark)shop LOGIN; \(accounts.block("\(title): owner"))")
      let owner = PostgresPool(testConfiguration(accounts.url("baton_owner")), logger: .postgresTests)
      _ = try await Migrator(pool: owner).migrate()
      await owner.close()
      try await accounts.grantRoles(schema: "baton")
      try await admin.run(prepare(accounts, accounts.block("\(title): accounts")))
      try await body(accounts, admin)
      await admin.close()
    } catch {
      await admin.close()
      throw error
    }
  }
  try await withTestConnection { try await made?.drop($0) }
}

extension PostgresPool {
  fileprivate func run(_ script: String) async throws {
    try await withConnection { try await $0.execute(script: script) }
  }
}

/// A page lacks the text that a test follows.
package struct MissingBlock: Error {
  let heading: String
}
