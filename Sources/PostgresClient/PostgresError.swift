/// What went wrong between this process and Postgres, and what may be done about it.
///
/// `description` is safe to log: it holds neither parameters nor row data nor passwords. `detail` may quote
/// the values of a row, and `message` of the class 22 (data exception) the offending input: keep those out of logs.
public struct PostgresError: Error, Sendable {
  /// Which side failed, and what is known about the outcome.
  public enum Kind: Sendable, Hashable {
    /// No connection could be made, or it was lost before the statement was sent: nothing was run.
    case connectionFailed
    /// The connection was lost with the statement in flight: it may have been run and committed, or not.
    case connectionLost
    /// Postgres answered with an error of this SQLSTATE; the statement's transaction was rolled back.
    case server(String)
    /// A value of the result is not what the caller asked for; the statement itself succeeded.
    case decoding
    /// The parameters cannot be sent; nothing was run.
    case encoding
    /// The calling task was cancelled: the statement may have been run, or not.
    case cancelled
    /// The connection or the pool was closed by this process before the statement was sent.
    case closed
  }

  /// Which side failed.
  public var kind: Kind
  /// What Postgres, libpq or this library said, without parameters.
  public var message: String
  /// The SQLSTATE as it came, five characters; nil if Postgres sent none.
  public var sqlState: String?
  /// Postgres's second line; may quote the values of a row.
  public var detail: String?
  /// What Postgres recommends to try.
  public var hint: String?
  /// The violated constraint or unique index.
  public var constraint: String?
  /// The table that the error is about.
  public var table: String?
  /// The column that the error is about.
  public var column: String?
  /// The name of the failed `Statement`.
  public var statement: String?

  /// Creates an error.
  public init(_ kind: Kind, _ message: String, sqlState: String? = nil, statement: String? = nil) {
    self.kind = kind
    self.message = message
    self.statement = statement
    if case .server(let state) = kind { self.sqlState = state } else { self.sqlState = sqlState }
  }

  /// The SQLSTATE's name in Postgres's documentation (appendix A), such as `unique_violation`; that of its class if
  /// the code itself has no name here.
  public var conditionName: String? { sqlState.flatMap(PostgresSQLState.name(of:)) }

  /// Whether the statement was in flight when the connection was lost: its outcome is unknown.
  public var isConnectionLost: Bool { kind == .connectionLost }

  /// Whether the same call may succeed later, without intervention.
  ///
  /// It says nothing about whether a repetition is harmless: after `connectionLost` the first one may have committed.
  public var isTransient: Bool {
    switch kind {
    case .connectionLost: true
    case .connectionFailed: sqlState.map(PostgresSQLState.isTransient) ?? true
    case .server(let state): PostgresSQLState.isTransient(state)
    case .decoding, .encoding, .cancelled, .closed: false
    }
  }

  /// Whether the connection string, or what completes it, is at fault: no later attempt with the same one can connect.
  public var isConnectionStringFault: Bool {
    kind == .connectionFailed && sqlState == PostgresSQLState.invalidParameterValue
  }

  /// Whether the session can only read: that of a standby, or of a server that was made read-only.
  public var isReadOnly: Bool { sqlState == PostgresSQLState.readOnlyTransaction }

  /// Whether a row with the same key is there already; `constraint` names the key.
  public var isUniqueViolation: Bool { sqlState == PostgresSQLState.uniqueViolation }

  func about(_ statement: PostgresStatement) -> PostgresError {
    guard self.statement == nil else { return self }
    var error = self
    error.statement = statement.label
    return error
  }
}

extension PostgresError: CustomStringConvertible {
  /// One line for a log: kind, statement, SQLSTATE with its name, constraint, message.
  public var description: String {
    var parts = [kindName]
    if let statement { parts.append("statement \(statement)") }
    if let sqlState { parts.append(conditionName.map { "\(sqlState) \($0)" } ?? sqlState) }
    if let constraint { parts.append("constraint \(constraint)") }
    // The server's messages of class 22 quote the input ('invalid input syntax for type uuid: "…"').
    if sqlState?.hasPrefix("22") != true || kind == .connectionFailed { parts.append(message) }
    return parts.joined(separator: ": ")
  }

  private var kindName: String {
    switch kind {
    case .connectionFailed: "no connection to Postgres"
    case .connectionLost: "connection to Postgres lost, outcome unknown"
    case .server: "Postgres refused"
    case .decoding: "unexpected value from Postgres"
    case .encoding: "parameters cannot be sent to Postgres"
    case .cancelled: "cancelled while waiting for Postgres"
    case .closed: "connection to Postgres is closed"
    }
  }
}
