internal import Certificates
internal import FoundationEssentials

/// The address that an API's paths are appended to; it may carry a path itself, as `https://ghe.example.com/api/v3`.
struct APIBase: Sendable, Hashable {
  /// `http` or `https`.
  let scheme: String
  /// Lower case, with brackets if it is an IPv6 address.
  let host: String
  let port: Int?
  /// Empty, or with a leading and no trailing slash; percent-encoded.
  let path: String

  /// nil if the text is no http or https URL, or if it carries a user, a query or a fragment.
  init?(_ text: String) {
    guard let url = URLComponents(string: text), let scheme = url.scheme?.lowercased(),
      scheme == "https" || scheme == "http", let host = url.encodedHost, !host.isEmpty,
      url.user == nil, url.password == nil, url.query == nil, url.fragment == nil
    else { return nil }
    self.scheme = scheme
    self.host = host.lowercased()
    port = url.port == (scheme == "https" ? 443 : 80) ? nil : url.port
    var path = url.percentEncodedPath
    while path.hasSuffix("/") { path.removeLast() }
    self.path = path
  }

  private init(scheme: String, host: String, port: Int?, path: String) {
    (self.scheme, self.host, self.port, self.path) = (scheme, host, port, path)
  }

  /// Host and, if it is not the scheme's default, port: the name of the circuit.
  var authority: String { port.map { "\(host):\($0)" } ?? host }

  /// Scheme, host and port, without a path.
  var origin: String { "\(scheme)://\(authority)" }

  /// The same host with another path in front of everything.
  func appending(path suffix: String) -> APIBase {
    APIBase(scheme: scheme, host: host, port: port, path: path + suffix)
  }

  /// The absolute URL of a path, which begins with a slash and is encoded already.
  func url(_ pathAndQuery: String) -> String { origin + path + pathAndQuery }

  /// Whether a token may travel there: by TLS, or to this machine.
  var keepsSecrets: Bool { scheme == "https" || IPAddress.isLoopback(host) }

  /// Resolves a link or a redirect that the API gave, and refuses one that leads elsewhere: a token travels with it.
  /// - Returns: the absolute URL; nil if scheme, host or port differ.
  func sameOrigin(_ reference: String, from current: String) -> String? {
    guard let url = URL(string: reference, relativeTo: URL(string: current))?.absoluteURL,
      let target = URLComponents(string: url.absoluteString), target.user == nil, target.password == nil,
      let scheme = target.scheme?.lowercased(), scheme == self.scheme,
      target.encodedHost?.lowercased() == host,
      (target.port == (scheme == "https" ? 443 : 80) ? nil : target.port) == port
    else { return nil }
    return url.absoluteString
  }
}

extension URLComponents {
  /// The host as it stands in the URL; `percentEncodedHost` is the name that swift-foundation gives it.
  fileprivate var encodedHost: String? { percentEncodedHost }
}
