internal import Crypto
internal import FoundationEssentials
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Reviews

/// Somebody who may look at the dashboard.
struct Visitor: Sendable {
  /// What a button has to send back; see ``Gate/confirm(_:_:form:)``.
  var csrfToken: String
  /// Signed in with the token: there is something to sign out of.
  var canSignOut: Bool
  /// A program that sends the bearer token itself: no strange page can make a browser do that.
  var isBearer = false
  /// The `Set-Cookie` of a session that begins with this answer.
  var newCookie: String?
}

/// Who may look at the dashboard, and whose buttons count.
///
/// With `BATON_API_TOKEN`: its bearer, or a session that began with it. The session's cookie is not the token, but a random name, the
/// session's end, and a code over both with a key that is derived from the token: every process with the same token accepts it,
/// none has to remember it. Without a token: programs of this machine, as everywhere (``AccessRule``).
///
/// Known weakness: a session cannot be called back before its end, other than by another token; signing out deletes the cookie.
struct Gate: Sendable {
  private let access: AccessRule
  private let key: SymmetricKey

  static let cookieName = "baton_session"
  static let sessionLifetime = 12 * 3_600

  enum Answer: Sendable {
    case visitor(Visitor)
    /// Not signed in.
    case stranger
    /// Comes by a link of another site, for which a browser keeps the cookie back.
    case arrival
  }

  init(access: AccessRule) {
    self.access = access
    // Without a token there is nothing to share between processes, and nothing to derive a key from.
    key =
      access.token.map { token in
        HKDF<SHA256>.deriveKey(
          inputKeyMaterial: SymmetricKey(data: Data(token.reveal().utf8)),
          info: Data("baton dashboard session v1".utf8),
          outputByteCount: 32)
      } ?? SymmetricKey(size: .bits256)
  }

  // MARK: Looking

  /// - Throws: `HTTPFault` 401 for a wrong bearer; 403 where no token is set and the caller is not of this machine.
  func admit(_ call: Call, now: Date = Date()) throws(HTTPFault) -> Answer {
    let headers = call.request.headers
    let isSignedOn = access.token != nil
    if !isSignedOn || headers.contains(.authorization) {
      try access.admit(headers: headers, authority: call.request.head.authority, peer: call.peer)
      if isSignedOn { return .visitor(Visitor(csrfToken: "", canSignOut: false, isBearer: true)) }
    }
    if let session = session(in: headers, now: now) {
      return .visitor(Visitor(csrfToken: code("csrf", session), canSignOut: isSignedOn))
    }
    if !isSignedOn {
      let session = makeSession(now: now)
      return .visitor(
        Visitor(csrfToken: code("csrf", session.name), canSignOut: false, newCookie: cookie(session.value, headers)))
    }
    return headers[.fetchSite] == "cross-site" ? .arrival : .stranger
  }

  /// The cookie of a new session for who knows the token; nil for who does not.
  func signIn(_ sent: String, headers: HTTPFields, now: Date = Date()) -> String? {
    guard let token = access.token, ConstantTime.equal(sent, token.reveal()) else { return nil }
    return cookie(makeSession(now: now).value, headers)
  }

  /// The cookie that ends a session.
  static let signedOutCookie = "\(cookieName)=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"

  // MARK: Acting

  /// Makes sure that a button of our own page was pressed: by where the browser says the request comes from, and by the page's token,
  /// which no other page can read.
  /// - Throws: `HTTPFault` 403.
  func confirm(_ call: Call, _ visitor: Visitor, csrf sent: String?) throws(HTTPFault) {
    if visitor.isBearer { return }
    try Self.confirmOrigin(call)
    guard visitor.newCookie == nil, let sent, ConstantTime.equal(sent, visitor.csrfToken) else {
      throw HTTPFault(.forbidden, "this page is older than its session: load it again, and press the button once more")
    }
  }

  /// - Throws: `HTTPFault` 403 where a page of another origin sends the request, or nothing says that ours does.
  static func confirmOrigin(_ call: Call) throws(HTTPFault) {
    let headers = call.request.headers
    let isOwn: Bool
    if let site = headers[.fetchSite] {
      isOwn = site == "same-origin"  // Set by the browser; a page cannot change it (Fetch Metadata, 2.1.4).
    } else if let origin = headers[.origin], let authority = call.request.head.authority {
      isOwn = origin == "http://\(authority)" || origin == "https://\(authority)"
    } else {
      isOwn = false
    }
    guard isOwn else { throw HTTPFault(.forbidden, "only the dashboard's own pages may send this") }
  }

  // MARK: Sessions

  /// The name of the session whose cookie was sent, where it is genuine and has not ended.
  private func session(in headers: HTTPFields, now: Date) -> String? {
    for line in headers[values: .cookie] {
      for pair in line.split(separator: ";") {
        let parts = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, parts[0] == Self.cookieName, parts[1].utf8.count < 256 else { continue }
        let fields = parts[1].split(separator: ".", omittingEmptySubsequences: false)
        guard fields.count == 3, let end = Int64(fields[0]), end > Int64(now.timeIntervalSince1970) else { continue }
        let name = "\(fields[0]).\(fields[1])"
        if ConstantTime.equal(String(fields[2]), code("session", name)) { return name }
      }
    }
    return nil
  }

  private func makeSession(now: Date) -> (name: String, value: String) {
    let end = Int64(now.timeIntervalSince1970) + Int64(Self.sessionLifetime)
    let random = (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 16) }.joined()
    let name = "\(end).\(random)"
    return (name, "\(name).\(code("session", name))")
  }

  private func cookie(_ value: String, _ headers: HTTPFields) -> String {
    // Behind a proxy that speaks TLS; believed from anybody, since it can only make the cookie stricter.
    let secure = headers[.xForwardedProto]?.lowercased() == "https" ? "; Secure" : ""
    return
      "\(Self.cookieName)=\(value); Path=/; Max-Age=\(Self.sessionLifetime); HttpOnly; SameSite=Strict\(secure)"
  }

  private func code(_ purpose: String, _ name: String) -> String {
    HMAC<SHA256>.authenticationCode(for: Data("\(purpose) \(name)".utf8), using: key)
      .map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}

extension HTTPField.Name {
  /// Fetch Metadata Request Headers, 2.1.
  static let fetchSite = HTTPField.Name(known: "Sec-Fetch-Site")
  static let xForwardedProto = HTTPField.Name(known: "X-Forwarded-Proto")
}
