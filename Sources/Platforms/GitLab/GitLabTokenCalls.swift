internal import FoundationEssentials
internal import Primitives
internal import Reviews

/// The calls about a token itself, on one GitLab instance and for one project.
struct GitLabTokenCalls: Sendable {
  /// The lifetime requested for a new token: GitLab's own limit unless its administrator has set another. Without it a rotated token
  /// would live for one week.
  static let dayCount = 365

  /// What a token is.
  struct Identity: Sendable, Equatable {
    /// nil if GitLab did not say.
    var userID: Int64?
    /// Whether it is a person's: only such a token can make others.
    var isPersonal: Bool
    /// nil if it does not end, or GitLab did not say.
    var expires: Date?
    /// nil if GitLab did not say.
    var created: Date?
  }

  /// A token that was just made.
  struct Made: Sendable {
    var secret: Secret
    var id: Int64
    var userID: Int64?
    var expiresAt: String?
  }

  let project: GitLabProject

  var client: APIClient { project.client }

  /// Asks whose token it is and when it expires, both at once.
  /// - Returns: nil if GitLab does not accept it any more. What GitLab does not report (an old version, a narrow scope) is
  ///   left open: then the token is used as it is.
  func identity(of token: Secret) async throws(APIFault) -> Identity? {
    let caller = GitLabSource.caller(token)
    async let userAnswer = answer(GitLabWire.User.self, "/user", caller)
    async let ownAnswer = answer(GitLabWire.AccessToken.self, "/personal_access_tokens/self", caller)
    let user: GitLabWire.User?
    switch await userAnswer {
    case .success(let value): user = value
    case .failure(.unauthorized): return nil
    case .failure(.missing), .failure(.refused), .failure(.malformed): user = nil
    case .failure(let fault): throw fault
    }
    let own = try? await ownAnswer.get()
    guard own?.active != false && own?.revoked != true else { return nil }
    return Identity(
      userID: user?.id ?? own?.user_id, isPersonal: user.map { !$0.isBot } ?? false,
      expires: own?.expires_at.flatMap(Self.date), created: LenientTime.read(own?.created_at).map { Date($0) })
  }

  /// Makes a token for the project, in the name of a person.
  func create(by token: Secret) async throws(APIFault) -> Made {
    do {
      return try await create(by: token, scopes: ["api", "self_rotate"])
    } catch .refused(let message) where message.contains("scopes") {
      // GitLab before 17.9 does not know the second scope, and does without it.
      return try await create(by: token, scopes: ["api"])
    }
  }

  private func create(by token: Secret, scopes: [String]) async throws(APIFault) -> Made {
    let wanted = Wanted(name: "baton", scopes: scopes, access_level: 30)
    return try await project.writing(as: GitLabSource.caller(token)) { project throws(APIFault) in
      try await made("\(project.path)/access_tokens", wanted, by: token)
    }
  }

  /// Rotates a project's token in the name of a person who maintains it.
  func rotate(_ id: Int64, by token: Secret) async throws(APIFault) -> Made {
    try await project.writing(as: GitLabSource.caller(token)) { project throws(APIFault) in
      try await made("\(project.path)/access_tokens/\(id)/rotate", Wanted(), by: token)
    }
  }

  /// Has a token rotate itself. GitLab gives up the old one in the same moment.
  func rotateItself(_ token: Secret) async throws(APIFault) -> Made {
    do {
      return try await project.writing(as: GitLabSource.caller(token)) { project throws(APIFault) in
        try await made("\(project.path)/access_tokens/self/rotate", Wanted(), by: token)
      }
    } catch  where error.isRefusal {
      // GitLab before 17.5 knows only this one, and tokens of groups and persons need it.
      return try await made("/personal_access_tokens/self/rotate", Wanted(), by: token)
    }
  }

  /// Asks for a token that lives for ``dayCount``. An instance may limit that: then for what its refusal names, else for its own default.
  private func made(_ path: String, _ wanted: Wanted, by token: Secret) async throws(APIFault) -> Made {
    var wanted = wanted
    wanted.expires_at = Self.day(client.now().addingTimeInterval(Double(Self.dayCount) * 86_400))
    do {
      return try await answer(path, wanted, by: token)
    } catch .refused(let message) where Self.isAboutExpiry(message) {
      wanted.expires_at = Self.dayBefore(theLimitIn: message)
      if wanted.expires_at != nil, let made = try? await answer(path, wanted, by: token) { return made }
      wanted.expires_at = nil
      return try await answer(path, wanted, by: token)
    }
  }

  /// Whether a refusal may be about the wanted end: it says so, or says nothing in plain text.
  static func isAboutExpiry(_ message: String) -> Bool {
    message.lowercased().contains("expir") || ["it answered 400", "it answered 422"].contains(message)
  }

  /// The last day that is before the one that a refusal names: `Expires at must be before 2026-03-31`.
  static func dayBefore(theLimitIn message: String) -> String? {
    guard let match = message.firstMatch(of: /\d{4}-\d{2}-\d{2}/), let limit = date(String(match.output)) else {
      return nil
    }
    return day(limit.addingTimeInterval(-86_400))
  }

  private func answer(_ path: String, _ wanted: Wanted, by token: Secret) async throws(APIFault) -> Made {
    let answer = try await client.post(path, as: GitLabSource.caller(token), wanted)
    let wire = try APIClient.decode(GitLabWire.AccessToken.self, from: answer.body)
    guard let text = wire.token, !text.isEmpty, let id = wire.id else {
      throw .malformed(message: "the answer holds no token")
    }
    return Made(secret: Secret(text), id: id, userID: wire.user_id, expiresAt: wire.expires_at)
  }

  private func answer<Value: Decodable & Sendable>(
    _ type: Value.Type, _ path: String, _ caller: APICaller
  ) async -> Result<Value, APIFault> {
    do {
      return .success(try APIClient.decode(type, from: try await client.get(path, as: caller).body))
    } catch {
      return .failure(error)
    }
  }

  private struct Wanted: Encodable {
    var name: String?
    var scopes: [String]?
    var access_level: Int?
    var expires_at: String?
  }

  /// The day in UTC: `2027-01-31`.
  static func day(_ date: Date) -> String {
    String(Timestamp(microseconds: Int64(date.timeIntervalSince1970) * 1_000_000).description.prefix(10))
  }

  /// The moment at which a token ends that lives until a day: its midnight in UTC. Some versions name the time as well.
  static func date(_ day: String) -> Date? {
    LenientTime.read(day).map { Date($0) }
  }
}

extension APIFault {
  /// Whether the platform will not do it, as opposed to not being able to just now.
  var isRefusal: Bool {
    switch self {
    case .missing, .unauthorized, .refused: true
    case .rateLimited, .failing, .unreachable, .malformed, .cancelled: false
    }
  }
}
