/// An SQL statement with a name, prepared once per connection under that name by its first use.
///
/// Keep statements in `static let`s and begin the SQL with `/* application:name */`: `pg_stat_activity` then
/// says what runs. The number of different statements is the number of plans that each connection keeps at the server.
///
/// Parameters are sent in binary, with the types of the Swift values given at the call: `Int` is `bigint`, `String` is
/// `text`. If the SQL needs another type, cast: `$1::jsonb`, `$2::review_status`.
public struct PostgresStatement: Sendable {
  /// At most 40 bytes; empty if the statement is not prepared.
  public let name: String
  /// One SQL command with parameters `$1`, `$2`, ….
  public let sql: String

  /// A statement that each connection prepares at its first use.
  /// - Parameters:
  ///   - name: 1 to 40 bytes. Postgres cuts names at 63, and a few bytes are kept for repeated preparation.
  ///   - sql: one command.
  public init(_ name: String, _ sql: String) {
    precondition((1...40).contains(name.utf8.count), "a statement's name has 1 to 40 bytes: \(name)")
    self.name = name
    self.sql = sql
  }

  /// A statement that is parsed and planned at every use: for commands such as `LISTEN`, and for rare ones.
  public init(unprepared sql: String) {
    name = ""
    self.sql = sql
  }

  var isPrepared: Bool { !name.isEmpty }

  /// For messages: the name, or the first words of the SQL.
  var label: String { isPrepared ? name : String(sql.prefix(40)) }
}

extension PostgresStatement: Hashable {
  /// Hashes the name only, as the SQL is long and follows from it.
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
