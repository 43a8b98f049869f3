internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import Primitives
internal import Resilience
internal import Reviews

/// The beginning and the end of a session.
extension DashboardRoutes {
  @Sendable func signIn(_ call: Call) async throws -> Response {
    try DashboardAccess.confirmOrigin(call)
    let form = try await readForm(call, knowing: ["token", "next"])
    let next = LoginPage.local(form["next"] ?? "/")
    guard let session = try await access.signIn(form["token"] ?? "", call.request.headers) else {
      return LoginPage.response(next: next, byLink: access.hasLink, isWrong: true)
    }
    log("signed in to the dashboard", call, ["right": session.right == .act ? "act" : "read"])
    return .found(next, headers: [.setCookie: session.cookie])
  }

  /// Ends the visitor's session, or everyone's. What the browser has stored of these pages goes too; its other cookies of this domain
  /// are not ours.
  @Sendable func signOut(_ call: Call) async throws -> Response {
    let (visitor, form) = try await press(call)
    let isEveryone = form["subject"] == "everyone"
    if isEveryone {
      guard visitor.right == .act else { throw HTTPFault.readOnly }
      try await access.signOutEveryone()
    } else if let session = visitor.session {
      try await access.signOut(session)
    }
    log("signed out of the dashboard", call, ["actor": "\(visitor.actor)", "sessions": isEveryone ? "all" : "one"])
    await feed.refresh()
    return .found(
      "/", headers: [.setCookie: SessionCookie.removing(call.request.headers), .clearSiteData: "\"cache\""])
  }
}

extension HTTPField.Name {
  /// Clear Site Data, 3.1.
  static let clearSiteData = HTTPField.Name(known: "Clear-Site-Data")
}
