internal import FoundationEssentials
internal import Primitives
internal import Reviews

/// The calls about GitLab's tokens: whose one is, making one for a project, rotating one. As at GitLab a rotation ends the old
/// token at once, and rotating one that has been rotated ends its whole family.
struct FakeGitLabTokens: Sendable {
  let state: FakeState
  /// The token that was sent; empty without one.
  let token: String

  /// nil if the call is about something else, and its token is accepted.
  func answer(_ call: FakeCall, body: [UInt8]) -> FakeAnswer? {
    let known = state.withValues { $0.tokens[token] }
    if call.route == .gitlabTokenRotation { return rotate(call, body, known) }
    if let known, known.isRevoked || known.hasEnded { return Self.unauthorized }
    switch call.route {
    case .gitlabUser: return known.map(Self.user)
    case .gitlabOwnToken: return FakeAnswer(json: Self.json(known ?? FakeToken(id: 1), token: nil))
    case .gitlabProjectToken: return create(call, body, known)
    default: return nil
    }
  }

  private static let unauthorized = FakeAnswer(
    status: 401,
    json: #"{"error":"invalid_token","error_description":"Token was revoked. You have to re-authorize from the user."}"#
  )

  private static func user(_ token: FakeToken) -> FakeAnswer {
    FakeAnswer(
      json:
        #"{"id":\#(token.userID),"username":"\#(JSONText.escaped(token.username))","state":"active","bot":\#(!token.isPersonal)}"#
    )
  }

  /// A project's token for a maintainer; other callers get a 400 with GitLab's words.
  private func create(_ call: FakeCall, _ body: [UInt8], _ known: FakeToken?) -> FakeAnswer {
    guard known?.isMaintainer == true, known?.isPersonal == true else {
      return FakeAnswer(
        status: 400,
        json: #"{"message":"400 Bad request - User does not have permission to create project access token"}"#)
    }
    return state.withValues { values in
      let id = values.nextTokenID()
      let made = FakeToken(
        id: id, userID: 100_000 + id, username: "project_\(call.repository)_bot", expiresAt: Self.expiry(body))
      return Self.made(made, status: 201, &values)
    }
  }

  /// By the token itself, or by a maintainer.
  private func rotate(_ call: FakeCall, _ body: [UInt8], _ known: FakeToken?) -> FakeAnswer {
    state.withValues { values in
      let text =
        call.number == 0 || call.number == known?.id ? token : values.tokens.first { $0.value.id == call.number }?.key
      guard let text, var old = values.tokens[text], known?.hasEnded != true,
        text == token || known?.isMaintainer == true
      else {
        return Self.unauthorized
      }
      guard !old.isRevoked else {
        for (text, token) in values.tokens where token.family == old.family { values.tokens[text]?.isRevoked = true }
        return Self.unauthorized
      }
      old.isRevoked = true
      values.tokens[text] = old
      var made = old
      (made.id, made.expiresAt, made.isRevoked) = (values.nextTokenID(), Self.expiry(body), false)
      return Self.made(made, status: 200, &values)
    }
  }

  private static func made(_ token: FakeToken, status: Int, _ values: inout FakeState.Values) -> FakeAnswer {
    let text = "glpat-made-\(token.id)"
    values.tokens[text] = token
    return FakeAnswer(status: status, json: json(token, token: text))
  }

  private static func json(_ token: FakeToken, token text: String?) -> String {
    let expiry = token.expiresAt.map { "\"\(JSONText.escaped($0))\"" } ?? "null"
    let secret = text.map { #","token":"\#($0)""# } ?? ""
    return
      #"{"id":\#(token.id),"name":"baton","revoked":\#(token.isRevoked),"scopes":["api"],"user_id":\#(token.userID),"active":\#(!token.isRevoked),"expires_at":\#(expiry)\#(secret)}"#
  }

  /// The day that was asked for; if none was, GitLab's default of a week.
  private static func expiry(_ body: [UInt8]) -> String {
    let wanted = (try? JSONValue(json: body))?["expires_at"]?.string
    return wanted ?? String(Date(timeIntervalSinceNow: 7 * 86_400).formatted(.iso8601).prefix(10))
  }
}
