internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// Who may use `/api` and the dashboard: the owner of a token, from every address and through every proxy.
struct AccessRule: AccessControl {
  /// `BATON_API_TOKEN`, or the one that this process has made.
  let tokens: SecretList
  /// `BATON_READ_TOKEN`.
  var readTokens: SecretList?
  var proxies = TrustedProxies()

  /// Admits a program by its bearer token.
  /// - Throws: `HTTPFault` 401 without a right token; 403 if the token only reads, or if a page of another site sends the request
  ///   through a proxy that adds the token.
  func admit(_ request: Request, peer: SocketAddress?, acts: Bool) throws(HTTPFault) -> Caller {
    try admit(request.headers, authority: request.head.authority, peer: peer, acts: acts)
  }

  /// The same, by what the request says of itself.
  func admit(
    _ headers: HTTPFields, authority: String?, peer: SocketAddress?, acts: Bool
  ) throws(HTTPFault) -> Caller {
    guard let right = Bearer.token(headers).flatMap({ credential($0)?.right }) else {
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
  static let readOnly = HTTPFault(
    .forbidden, "a token of BATON_READ_TOKEN only reads: use one of BATON_API_TOKEN to change something")

  static let foreignPage = HTTPFault(.forbidden, "only the dashboard's own pages may send this")
}

extension HTTPField.Name {
  /// The shared secret of status callbacks.
  static let internalSecret = HTTPField.Name(known: StatusCallback.secretHeader)
}
