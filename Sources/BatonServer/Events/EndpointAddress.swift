internal import Certificates
internal import FoundationEssentials

/// Where an endpoint of events may be: only at hosts that the process's own setting names, so that who may add an endpoint cannot make the
/// server call what only the server can reach.
package struct EndpointAddress: Sendable, Equatable {
  /// In one way of writing.
  package let url: String
  /// Lower case, with brackets if it is an IPv6 address.
  package let host: String
  package let port: Int
  /// Whether others on the way can read the events.
  package let isPlaintext: Bool

  /// Why an address is refused. It is not quoted if it may hold a password.
  package enum Fault: Error, Sendable, Equatable, CustomStringConvertible {
    case noAddress
    case notAllowed(authority: String, allowed: String)

    package var description: String {
      switch self {
      case .noAddress:
        "the address is not an http or https one without a user, a query and a fragment: what proves the sender is the signature"
      case .notAllowed(let authority, let allowed):
        "\(authority) is not a host that events may be sent to: add it to BATON_EVENT_HOSTS of the servers, which names "
          + "\(allowed.isEmpty ? "none" : allowed)"
      }
    }
  }

  /// - Parameters:
  ///   - text: an http or https URL.
  ///   - allowed: of BATON_EVENT_HOSTS: `hooks.example.com`, which allows every port of it, or `hooks.example.com:8443`, which allows one.
  package init(_ text: String, allowed: [String]) throws(Fault) {
    guard text.utf8.count <= Self.byteCountMax, let parts = URLComponents(string: text),
      let scheme = parts.scheme?.lowercased(), scheme == "https" || scheme == "http",
      let host = parts.percentEncodedHost?.lowercased(), !host.isEmpty,
      parts.user == nil, parts.password == nil, parts.query == nil, parts.fragment == nil
    else { throw .noAddress }
    let standard = scheme == "https" ? 443 : 80
    let port = parts.port ?? standard
    guard (1...65_535).contains(port) else { throw .noAddress }
    let authority = port == standard ? host : "\(host):\(port)"
    let entries = allowed.map { $0.lowercased() }
    guard entries.contains(host) || entries.contains("\(host):\(port)") else {
      throw .notAllowed(authority: authority, allowed: entries.sorted().joined(separator: ", "))
    }
    (self.host, self.port) = (host, port)
    isPlaintext = scheme == "http" && !IPAddress.isLoopback(host)
    url = "\(scheme)://\(authority)\(parts.percentEncodedPath.isEmpty ? "/" : parts.percentEncodedPath)"
  }

  private static let byteCountMax = 2_000
}
