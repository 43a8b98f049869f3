internal import AMQPClient

/// An error of the broker, in words for those who tell people what to do.
package protocol QueueFault: Error, CustomStringConvertible {
  /// What it is about.
  var faultKind: QueueFaultKind { get }
  /// Whether the connection is over, or could not be made; otherwise the broker has refused one operation.
  var isConnectionLost: Bool { get }
}

/// What an error of the broker is about.
package enum QueueFaultKind: Sendable, Hashable, CaseIterable {
  /// The settings are wrong; nothing was tried.
  case settings
  /// The broker does not know the account, or not with this password.
  case credentials
  /// The account lacks a permission.
  case permission
  /// The virtual host is missing, or closed to the account.
  case virtualHost
  /// A queue or an exchange is there, declared otherwise.
  case differentDeclaration
  /// A queue or an exchange is missing.
  case notFound
  /// A limit on connections, channels or queues is reached.
  case limit
  /// The broker lacks memory, disk space or another resource, or had a fault of its own.
  case resources
  /// There is no connection, for none of the reasons above.
  case unreachable
  /// The broker refuses, for none of the reasons above.
  case refused
}

extension AMQPError: QueueFault {
  package var faultKind: QueueFaultKind {
    if scope == .configuration { return .settings }
    return switch cause {
    case .credentials: .credentials
    case .permission: .permission
    case .virtualHost: .virtualHost
    case .differentDeclaration: .differentDeclaration
    case .notFound: .notFound
    case .limit: .limit
    case .resources: .resources
    case .other where isConnectionLost: .unreachable
    case .messageSize, .other: .refused
    }
  }
}
