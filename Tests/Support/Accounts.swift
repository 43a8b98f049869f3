internal import Foundation
package import PostgresClient

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

/// A page lacks the text that a test follows.
package struct MissingBlock: Error {
  let heading: String
}
