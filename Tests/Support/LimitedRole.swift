/// A role of a test's own whose connections are limited.
package struct LimitedRole: Sendable {
  package let name: String
  /// The database's URL for this role.
  package let conninfo: String
  private let test: TestStore

  fileprivate init(name: String, conninfo: String, test: TestStore) {
    (self.name, self.conninfo, self.test) = (name, conninfo, test)
  }

  /// Allows so many sessions; those that are there stay.
  package func limit(to count: Int) async throws {
    try await test.sql("ALTER ROLE \(name) CONNECTION LIMIT \(count)")
  }

  /// Removes the role, with all its sessions.
  package func drop() async throws {
    try await test.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '\(name)'")
    try await test.sql("DROP OWNED BY \(name)")
    try await test.sql("DROP ROLE \(name)")
  }
}

extension TestStore {
  /// Makes a role that may do with the reviews what the roles of Baton do.
  package func addRole(connectionLimit: Int) async throws -> LimitedRole {
    let name = "limited_\(UInt32.random(in: 0 ... .max))"
    try await sql("CREATE ROLE \(name) LOGIN CONNECTION LIMIT \(connectionLimit)")
    try await sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO \(name)")
    try await sql("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO \(name)")
    return LimitedRole(
      name: name, conninfo: conninfo.replacing("//postgres@", with: "//\(name)@"), test: self)
  }
}
