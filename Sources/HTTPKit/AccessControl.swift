package import HTTPTypes
package import Hummingbird
package import NIOCore

/// Decides who may call the routes that are not open.
package protocol AccessControl: Sendable {
  /// - Parameters:
  ///   - request: its body is not read.
  ///   - peer: where the connection comes from.
  ///   - acts: whether the request changes something.
  /// - Throws: ``HTTPFault`` for a caller that is not let in.
  func admit(_ request: Request, peer: SocketAddress?, acts: Bool) throws(HTTPFault) -> Caller
}

/// What the owner of a token may do.
package enum Right: Sendable, Equatable {
  /// Everything.
  case act
  /// Look, without changing anything.
  case read
}

/// Who calls, as far as the token and a trusted proxy tell.
package struct Caller: Sendable, Equatable {
  package var right: Right
  /// As the history names the caller.
  package var actor: String

  package init(right: Right, actor: String) {
    self.right = right
    self.actor = actor
  }
}

/// Bearer tokens (RFC 6750).
package enum Bearer {
  /// The text behind `Bearer`.
  package static func token(_ headers: HTTPFields) -> String? {
    guard let value = headers[.authorization] else { return nil }
    let parts = value.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
    return String(parts[1])
  }
}
