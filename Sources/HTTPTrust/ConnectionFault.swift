internal import Glibc
internal import NIOCore
internal import NIOPosix

/// Why there is no connection to a server.
package enum ConnectionFault {
  /// The reason in words for an operator.
  /// - Returns: nil if `error` is none of a connection.
  package static func text(_ error: any Error) -> String? {
    switch error {
    case let error as NIOConnectionError where error.dnsAError != nil || error.dnsAAAAError != nil:
      "the name cannot be resolved"
    case let error as NIOConnectionError:
      error.connectionErrors.first.flatMap { text($0.error) } ?? "no connection"
    case let error as IOError: String(cString: strerror(error.errnoCode))
    case is ChannelError: "no connection in time"
    default: nil
    }
  }
}
