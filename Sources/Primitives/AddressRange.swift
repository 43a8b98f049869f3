internal import Glibc

/// An IP address, or a range of them in CIDR notation (RFC 4632, RFC 4291): `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.
///
/// An IPv4 address that a socket of both families shows as IPv6 (`::ffff:10.0.0.7`; RFC 4291, 2.5.5.2) counts as IPv4.
package struct AddressRange: Sendable, Hashable {
  private let bytes: [UInt8]
  /// How many leading bits an address has in common with the range.
  package let prefixLength: Int

  /// - Returns: nil if the text is no address or range.
  package init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = Self.bytes(of: String(parts[0])) else { return nil }
    bytes = address
    guard parts.count == 2 else {
      prefixLength = address.count * 8
      return
    }
    guard parts[1].allSatisfy(\.isNumber), let length = Int(parts[1]), length <= address.count * 8 else { return nil }
    prefixLength = length
  }

  /// Whether an address lies in the range; a text that is no address lies in none.
  package func contains(_ address: String) -> Bool {
    guard let other = Self.bytes(of: address), other.count == bytes.count else { return false }
    return zip(bytes, other).enumerated().allSatisfy { index, pair in
      let bits = min(8, max(0, prefixLength - index * 8))
      return (pair.0 ^ pair.1) >> UInt8(8 - bits) == 0
    }
  }

  /// Four bytes or sixteen.
  private static func bytes(of address: String) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 16)
    if inet_pton(AF_INET, address, &bytes) == 1 { return Array(bytes.prefix(4)) }
    // Without the interface's name of a link-local address.
    guard inet_pton(AF_INET6, String(address.prefix { $0 != "%" }), &bytes) == 1 else { return nil }
    let isMapped = bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 255 && bytes[11] == 255
    return isMapped ? Array(bytes.suffix(4)) : bytes
  }
}
