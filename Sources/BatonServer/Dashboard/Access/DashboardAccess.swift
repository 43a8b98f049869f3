internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// A person or a program that may look at the dashboard.
struct Visitor: Sendable {
  var right: Right
  /// As the history names the visitor.
  var actor: String
  /// The person that a trusted proxy names.
  var name: String?
  /// nil for one that sends the bearer token itself, or whose proxy adds it.
  var session: DashboardSession?
  /// What a button has to send back; see ``DashboardAccess/confirm(_:_:csrf:)``.
  var csrfToken = ""
}

/// Who may look at the dashboard, and whose buttons count: the bearer of a token, or a session that began with one.
///
/// A session is looked up in Postgres for every page and button, but only if its cookie is genuine. If Postgres cannot be reached, no
/// session counts: it may have ended, and without Postgres there is nothing to see or to do but this.
struct DashboardAccess: Sendable {
  private let access: AccessRule
  private let cookies: SessionCookie
  private let book: any SessionBook
  private let link: LoginLink?

  enum Decision: Sendable {
    case visitor(Visitor)
    /// Not signed in.
    case stranger
    /// Comes by a link of another site, for which a browser keeps the cookie back.
    case arrival
  }

  /// - Parameter link: if the server has made its token itself.
  init(access: AccessRule, book: any SessionBook, link: LoginLink? = nil) {
    self.access = access
    self.book = book
    self.link = link
    cookies = SessionCookie(access.credentials)
  }

  /// Whether people sign in by the link that the server shows.
  var hasLink: Bool { link != nil }

  // MARK: Looking

  /// - Throws: `HTTPFault` 401 for a wrong bearer; 503 if nothing can be said about a genuine session.
  func admit(_ call: Call) async throws(HTTPFault) -> Decision {
    let headers = call.request.headers
    let name = try access.proxies.name(headers, call.peer)
    if headers.contains(.authorization) {
      let caller = try access.admit(
        headers, authority: call.request.head.authority, peer: call.peer, acts: false)
      return .visitor(Visitor(right: caller.right, actor: caller.actor, name: name))
    }
    if let session = cookies.session(in: headers), try await isLive(session) {
      let actor = name ?? (session.right == .act ? "dashboard" : "dashboard (read)")
      return .visitor(
        Visitor(right: session.right, actor: actor, name: name, session: session, csrfToken: session.code("csrf")))
    }
    return headers[.fetchSite] == "cross-site" ? .arrival : .stranger
  }

  /// Whether a visitor who was admitted before still is.
  /// - Throws: `HTTPFault` 503.
  func stillAdmits(_ visitor: Visitor) async throws(HTTPFault) -> Bool {
    guard let session = visitor.session else { return true }
    return try await isLive(session)
  }

  private func isLive(_ session: DashboardSession) async throws(HTTPFault) -> Bool {
    do {
      return try await book.isLive(session.id)
    } catch {
      guard HTTPFault(error).status == .serviceUnavailable else { throw HTTPFault(error) }
      throw .unavailable("Postgres cannot be reached, so this server cannot tell whether your session has ended")
    }
  }

  // MARK: Signing in and out

  /// The cookie of a new session for who knows a token, or the code of the log-in link; nil for who does not. The session that the
  /// browser had before ends.
  /// - Throws: `StoreFault`.
  func signIn(_ sent: String, _ headers: HTTPFields) async throws -> (cookie: String, right: Right)? {
    let token = access.credential(sent)?.token ?? (link?.redeem(sent) == true ? access.tokens.current : nil)
    guard let token, let session = cookies.begin(with: token) else { return nil }
    try await book.begin(session.id, replacing: cookies.session(in: headers)?.id)
    return (SessionCookie.setting(session, headers), session.right)
  }

  /// Ends a session on every server, for every copy of its cookie.
  func signOut(_ session: DashboardSession) async throws { try await book.end(session.id) }

  /// Ends every session on every server.
  func signOutEveryone() async throws { try await book.endAll() }

  // MARK: Acting

  /// Makes sure that a button of our own page was pressed: by where the browser says the request comes from, and by the page's token,
  /// which no other page can read. A program that sends the bearer token needs neither, but a browser whose proxy adds the token does
  /// say where the request comes from.
  /// - Throws: `HTTPFault` 403.
  func confirm(_ call: Call, _ visitor: Visitor, csrf sent: String?) throws(HTTPFault) {
    guard visitor.session != nil else {
      guard Self.isOwn(call) != false else { throw .foreignPage }
      return
    }
    try Self.confirmOrigin(call)
    guard let sent, ConstantTime.equal(sent, visitor.csrfToken) else {
      throw HTTPFault(.forbidden, "this page is older than its session: load it again, and press the button once more")
    }
  }

  /// - Throws: `HTTPFault` 403 if a page of another origin sends the request, or nothing says that ours does.
  static func confirmOrigin(_ call: Call) throws(HTTPFault) {
    guard isOwn(call) == true else { throw .foreignPage }
  }

  private static func isOwn(_ call: Call) -> Bool? {
    OwnPage.isSender(call.request.headers, authority: call.request.head.authority)
  }
}
