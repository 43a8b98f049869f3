/// What went wrong with a connection, a channel or one operation, and whether trying again can help.
///
/// Texts never hold a password. The broker's own text is kept word for word: for a 406 it names the argument that
/// differs.
public struct AMQPError: Error, Sendable, Hashable {
  /// What the failure leaves behind.
  public enum Scope: Sendable, Hashable {
    /// The settings are wrong; nothing was tried.
    case configuration
    /// The connection is over, or could not be made.
    case connection
    /// The broker closed the channel; the connection lives on.
    case channel
  }

  /// What was tried, for example `declare queue 'jobs'`.
  public let operation: String
  /// AMQP's reply code (404, 406, …), if the broker gave one.
  public let code: Int?
  /// The broker's text, or the library's.
  public let text: String
  /// What the failure leaves behind.
  public let scope: Scope
  /// Whether a retry fails the same way until settings, permissions or the topology change.
  public let isPermanent: Bool

  /// Creates an error.
  public init(operation: String, code: Int? = nil, text: String, scope: Scope, isPermanent: Bool = false) {
    self.operation = operation
    self.code = code
    self.text = text
    self.scope = scope
    self.isPermanent = isPermanent
  }

  /// Whether the connection is over (or was never there): unsettled deliveries go back to the broker, and a publish
  /// without a confirm may or may not have happened.
  public var isConnectionLost: Bool { scope == .connection }

  /// AMQP's name of the reply code, for example `PRECONDITION_FAILED`; `CLIENT` if there is no code.
  public var name: String {
    code.map { Self.names[$0] ?? "REPLY_\($0)" } ?? "CLIENT"
  }

  private static let names: [Int: String] = [
    311: "CONTENT_TOO_LARGE", 312: "NO_ROUTE", 313: "NO_CONSUMERS", 320: "CONNECTION_FORCED", 402: "INVALID_PATH",
    403: "ACCESS_REFUSED", 404: "NOT_FOUND", 405: "RESOURCE_LOCKED", 406: "PRECONDITION_FAILED", 501: "FRAME_ERROR",
    502: "SYNTAX_ERROR", 503: "COMMAND_INVALID", 504: "CHANNEL_ERROR", 505: "UNEXPECTED_FRAME",
    506: "RESOURCE_ERROR", 530: "NOT_ALLOWED", 540: "NOT_IMPLEMENTED", 541: "INTERNAL_ERROR",
  ]
}

extension AMQPError {
  /// Whether a connection that is kept alive is given up: only another configuration or another topology of this program could
  /// help. Credentials, rights and a virtual host can be put right at the broker while it waits.
  var endsReconnecting: Bool {
    switch cause {
    case .credentials, .permission, .virtualHost: false
    default: isPermanent
    }
  }
}

extension AMQPError: CustomStringConvertible {
  /// One line: what failed, the broker's code and text, and for a permanent error that trying again is useless.
  public var description: String {
    summary + (isPermanent && scope != .configuration ? " (trying again will not help)" : "")
  }

  /// What failed, and the broker's code and text.
  var summary: String {
    let reply = code.map { text.hasPrefix(name) ? "\($0) \(text)" : "\($0) \(name) - \(text)" } ?? text
    return "\(operation): \(reply)"
  }
}

extension AMQPError {
  /// What the broker refused for. One reply code has several causes (406 is a queue that is declared otherwise, and also a limit on the
  /// number of queues), so the text counts as well.
  public enum Cause: Sendable, Hashable {
    /// The broker does not know the account, or not with this password.
    case credentials
    /// The account lacks a permission on the object that the text names.
    case permission
    /// The virtual host is missing, or closed to the account.
    case virtualHost
    /// A queue or an exchange exists with other properties, or the broker does not know the properties.
    case differentDeclaration
    /// A limit on connections, channels or queues is reached; others may free what they use.
    case limit
    /// The message is larger than the broker takes.
    case messageSize
    /// The object does not exist.
    case notFound
    /// The broker lacks memory, disk space or another resource, or had a fault of its own.
    case resources
    /// Everything else, a lost connection among it.
    case other
  }

  /// What the broker refused for, by its code and its text.
  public var cause: Cause {
    switch code {
    case 403: scope == .connection ? .credentials : .permission
    case 402: .virtualHost
    case 404: .notFound
    case 406: Self.causeOfFailedPrecondition(text)
    case 506, 541: .resources
    case 530:
      if Self.namesLimit(text) { .limit } else if text.contains("vhost") { .virtualHost } else { .other }
    default: .other
    }
  }

  private static func causeOfFailedPrecondition(_ text: String) -> Cause {
    // First: an argument's name may say "limit" or "max".
    if text.contains("inequivalent arg") || text.contains("invalid arg") || text.contains("invalid property") {
      return .differentDeclaration
    }
    if text.contains("message size") { return .messageSize }
    return namesLimit(text) ? .limit : .other
  }

  private static func namesLimit(_ text: String) -> Bool {
    ["limit", "maximum", "channel_max"].contains { text.contains($0) }
  }

  /// The broker refused an operation that is always asked in the same way (login, declare, consume).
  ///
  /// Permanent is what no retry of the same declaration, permission or credentials can change. A missing or locked object is not: it may
  /// come and go. Nor is a 406 about a delivery or a limit.
  static func refused(_ operation: String, code: Int, text: String, scope: Scope) -> AMQPError {
    let error = AMQPError(operation: operation, code: code, text: text, scope: scope)
    let isPermanent =
      switch error.cause {
      case .credentials, .permission, .virtualHost, .differentDeclaration: true
      case .limit, .messageSize, .notFound, .resources: false
      case .other: code == 503 || code == 540
      }
    return AMQPError(operation: operation, code: code, text: text, scope: scope, isPermanent: isPermanent)
  }

  /// The connection is over for a reason that says nothing about the next one.
  static func lost(_ operation: String, code: Int? = nil, _ text: String) -> AMQPError {
    AMQPError(operation: operation, code: code, text: text, scope: .connection)
  }

  /// There is no connection at this moment.
  static func notConnected(_ operation: String) -> AMQPError {
    .lost(operation, "there is no connection to the broker at this moment; try again once it is back")
  }
}
