internal import Crypto
internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import NIOCore
internal import Reviews
internal import WorkerAPI

/// Who may use `/api` and the front page: the bearer of the token; without a token, programs of this machine.
///
/// Without a token the peer's address decides, never a header. Two headers can only take the permission away: a proxy
/// on this machine forwards strangers (`X-Forwarded-For`, `Forwarded`), and so does a browser that a strange page or a
/// rebound name has sent here (`Origin`, `Host`).
struct AccessRule: Sendable {
  let token: Secret?

  /// - Throws: `HTTPFault` 401 or 403.
  func admit(headers: HTTPFields, authority: String?, peer: SocketAddress?) throws(HTTPFault) {
    if let token {
      guard let sent = Self.bearer(headers), ConstantTime.equal(sent, token.reveal()) else {
        throw .unauthorized("expected the bearer token of BATON_API_TOKEN in the header Authorization")
      }
      return
    }
    guard let peer, Self.isLoopback(peer) else {
      throw HTTPFault(.forbidden, "without BATON_API_TOKEN only programs on this machine are answered: set it")
    }
    if headers.contains(.forwarded) || headers.contains(.xForwardedFor) {
      throw HTTPFault(.forbidden, "a proxy passes this request on: set BATON_API_TOKEN to allow that")
    }
    if let origin = headers[.origin], !Self.isLoopback(Authority(origin: origin)) { throw Self.strangeName }
    if let authority, !authority.isEmpty, !Self.isLoopback(host: authority) { throw Self.strangeName }
  }

  private static let strangeName = HTTPFault(
    .forbidden, "a browser, or a client that calls this machine by another name: set BATON_API_TOKEN")

  /// The text behind `Bearer`.
  static func bearer(_ headers: HTTPFields) -> String? {
    guard let value = headers[.authorization] else { return nil }
    let parts = value.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
    return String(parts[1])
  }

  /// Also an IPv4 address that a socket of both families shows as IPv6 (RFC 4291, 2.5.5.2).
  static func isLoopback(_ peer: SocketAddress) -> Bool {
    guard let address = peer.ipAddress else { return false }
    return address == "::1" || address.hasPrefix("127.") || address.lowercased().hasPrefix("::ffff:127.")
  }

  /// Whether `host[:port]` names this machine.
  static func isLoopback(host authority: String) -> Bool { isLoopback(Authority(authority)) }

  private static func isLoopback(_ authority: Authority?) -> Bool {
    guard let name = authority?.host else { return false }
    let octets = name.split(separator: ".", omittingEmptySubsequences: false)
    return name == "localhost" || name == "::1"
      || octets.count == 4 && octets[0] == "127" && octets.allSatisfy { UInt8($0) != nil }
  }
}

extension HTTPFault {
  static func unauthorized(_ message: String) -> HTTPFault {
    HTTPFault(.unauthorized, message, headers: [.wwwAuthenticate: "Bearer"])
  }
}

extension HTTPField.Name {
  /// RFC 7239.
  static let forwarded = HTTPField.Name(known: "Forwarded")
  static let xForwardedFor = HTTPField.Name(known: "X-Forwarded-For")
  /// W3C Trace Context, 3.2.
  static let traceparent = HTTPField.Name(known: "traceparent")
  /// The shared secret of status callbacks.
  static let internalSecret = HTTPField.Name(known: StatusCallback.secretHeader)

  /// A name that is known to be a token; another one is our own mistake.
  init(known name: String) {
    guard let parsed = HTTPField.Name(name) else { preconditionFailure("\(name) is no header's name") }
    self = parsed
  }
}

/// Compares secrets without telling by the time taken how much of them was right, or how long they are.
enum ConstantTime {
  /// Compares digests: equally long whatever the texts are, and their `==` looks at every byte.
  static func equal(_ left: String, _ right: String) -> Bool {
    SHA256.hash(data: Data(left.utf8)) == SHA256.hash(data: Data(right.utf8))
  }

  /// Whether a text is one of the secrets. All of them are compared, so that the time does not show which one it was.
  static func matches(_ sent: String, _ secrets: SecretList) -> Bool {
    secrets.all.reduce(false) { found, secret in equal(sent, secret.reveal()) || found }
  }
}
