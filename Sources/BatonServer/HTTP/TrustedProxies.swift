internal import HTTPKit
internal import HTTPTypes
internal import NIOCore
package import Primitives
internal import Reviews

/// The proxies whose word about a request counts: whom it comes from, and who has signed in there.
///
/// Anyone may send these headers, so they count by the connection's address alone, never by what they say.
package struct TrustedProxies: Sendable {
  /// `BATON_TRUSTED_PROXIES`.
  package var ranges: [AddressRange]
  /// `BATON_ACTOR_HEADER`.
  package var actorHeader: String?

  package init(ranges: [AddressRange] = [], actorHeader: String? = nil) {
    self.ranges = ranges
    self.actorHeader = actorHeader
  }

  /// The most bytes of a person's name.
  static let nameByteCountMax = 128

  /// Whether the headers of this connection count.
  func trusts(_ peer: SocketAddress?) -> Bool { peer?.ipAddress.map { trusts($0) } ?? false }

  private func trusts(_ address: String) -> Bool { ranges.contains { $0.contains(address) } }

  /// The address of the client: the last one in `X-Forwarded-For` that is not a trusted proxy's, because each proxy appends the one
  /// that it sees; without a trusted proxy the connection's own.
  func client(_ headers: HTTPFields, _ peer: SocketAddress?) -> String? {
    guard let own = peer?.ipAddress else { return nil }
    guard trusts(own) else { return own }
    let hops = headers[values: .xForwardedFor].joined(separator: ",").split(separator: ",").map { hop in
      hop.filter { $0 != " " }
    }
    // Behind what is no address nothing counts.
    let addresses = hops.reversed().prefix { AddressRange($0) != nil }
    return addresses.first { !trusts($0) } ?? addresses.last ?? own
  }

  /// The person that a trusted proxy names; nil if it names none, or if no trusted proxy sends the request.
  /// - Throws: `HTTPFault` 400 for a name that cannot stand in the history, or for more than one.
  func name(_ headers: HTTPFields, _ peer: SocketAddress?) throws(HTTPFault) -> String? {
    guard let actorHeader, let field = HTTPField.Name(actorHeader), trusts(peer) else { return nil }
    let values = headers[values: field]
    // A proxy that adds its header instead of setting it passes on what the client sent.
    guard values.count <= 1 else { throw .malformed("the proxy sends \(actorHeader) more than once") }
    guard let name = values.first, !name.isEmpty else { return nil }
    guard name.utf8.count <= Self.nameByteCountMax else {
      throw .malformed("the name in \(actorHeader) is longer than \(Self.nameByteCountMax) bytes")
    }
    guard name.unicodeScalars.allSatisfy({ Self.isVisible($0) }) else {
      throw .malformed("the name in \(actorHeader) holds a character that cannot be seen, or is no UTF-8 text")
    }
    return name
  }

  /// No control characters, marks of direction, separators, unassigned or replaced characters: a name must not look like another.
  private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
    case .spaceSeparator: scalar == " "
    default: scalar != "\u{FFFD}"
    }
  }
}
