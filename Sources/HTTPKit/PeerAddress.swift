internal import Glibc
package import NIOCore

/// Where connections come from, as far as senders can be distinguished: an IPv4 address, or the /64 network of an IPv6 address, of
/// which one sender has all addresses.
package struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
  /// For logs.
  package let description: String

  /// - Parameter address: nil, or one that is no IP address, is one sender, "unknown".
  package init(_ address: SocketAddress?) {
    let text = address?.ipAddress ?? "unknown"
    var bytes = [UInt8](repeating: 0, count: 16)
    guard text.contains(":"), inet_pton(AF_INET6, text, &bytes) == 1 else {
      description = text
      return
    }
    // An IPv4 address that a socket of both families shows as IPv6 (RFC 4291, 2.5.5.2).
    if bytes.prefix(10).allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF {
      description = bytes[12...].map { String($0) }.joined(separator: ".")
    } else if bytes.prefix(15).allSatisfy({ $0 == 0 }) {
      description = text
    } else {
      let groups = stride(from: 0, to: 8, by: 2).map { index in
        String(UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1]), radix: 16)
      }
      description = groups.joined(separator: ":") + "::/64"
    }
  }
}
