internal import HTTPKit
internal import HTTPTypes
internal import NIOCore
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// What the owner of a token may do.
enum Right: Sendable, Equatable {
  /// Everything.
  case act
  /// Look, without changing anything.
  case read
}

/// Who calls, as far as the token and a trusted proxy tell.
struct Caller: Sendable, Equatable {
  var right: Right
  /// As the history names the caller.
  var actor: String
}

/// Who may use `/api` and the dashboard: the owner of a token, from every address and through every proxy.
struct AccessRule: Sendable {
  /// `BATON_API_TOKEN`, or the one that this process has made.
  let tokens: SecretList
  /// `BATON_READ_TOKEN`.
  var readTokens: SecretList?
  var proxies = TrustedProxies()

  /// Admits a program by its bearer token.
  /// - Parameter acts: whether the request changes something.
  /// - Throws: `HTTPFault` 401 without a right token; 403 if the token only reads, or if a page of another site sends the request
  ///   through a proxy that adds the token.
  func admit(
    _ headers: HTTPFields, authority: String?, peer: SocketAddress?, acts: Bool
  ) throws(HTTPFault) -> Caller {
    guard let right = Self.bearer(headers).flatMap({ credential($0)?.right }) else {
      throw .unauthorized("expected the bearer token of BATON_API_TOKEN in the header Authorization")
    }
    if acts {
      guard right == .act else { throw .readOnly }
      guard OwnPage.isSender(headers, authority: authority) != false else { throw .foreignPage }
    }
    let name = try proxies.name(headers, peer)
    return Caller(right: right, actor: name ?? (right == .act ? "api" : "api (read)"))
  }

  /// The token that a text is, and what it may do. All are compared, so that the time does not show which one it was.
  func credential(_ sent: String) -> (token: Secret, right: Right)? {
    credentials.reduce(nil) { found, one in
      ConstantTime.equal(sent, one.token.reveal()) ? found ?? one : found
    }
  }

  /// Every token that is right now.
  var credentials: [(token: Secret, right: Right)] {
    tokens.all.map { ($0, .act) } + (readTokens?.all ?? []).map { ($0, .read) }
  }

  /// The text behind `Bearer`.
  static func bearer(_ headers: HTTPFields) -> String? {
    guard let value = headers[.authorization] else { return nil }
    let parts = value.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
    return String(parts[1])
  }
}

/// Whether a page of this server sends a request.
enum OwnPage {
  /// - Returns: nil if nothing says that a page sends it at all: browsers say so, programs do not.
  static func isSender(_ headers: HTTPFields, authority: String?) -> Bool? {
    // Set by the browser; a page cannot change it (Fetch Metadata, 2.1.4).
    if let site = headers[.fetchSite] { return site == "same-origin" }
    guard let origin = headers[.origin] else { return nil }
    return authority.map { origin == "http://\($0)" || origin == "https://\($0)" } ?? false
  }
}

extension HTTPFault {
  static func unauthorized(_ message: String) -> HTTPFault {
    HTTPFault(.unauthorized, message, headers: [.wwwAuthenticate: "Bearer"])
  }

  static let readOnly = HTTPFault(
    .forbidden, "a token of BATON_READ_TOKEN only reads: use one of BATON_API_TOKEN to change something")

  static let foreignPage = HTTPFault(.forbidden, "only the dashboard's own pages may send this")
}

extension HTTPField.Name {
  /// Fetch Metadata Request Headers, 2.1.
  static let fetchSite = HTTPField.Name(known: "Sec-Fetch-Site")
  static let xForwardedProto = HTTPField.Name(known: "X-Forwarded-Proto")
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
