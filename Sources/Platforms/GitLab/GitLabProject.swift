internal import Primitives
internal import Reviews

/// How GitLab's projects are called: at which instances, and with which tokens.
struct GitLabAPI: Sendable {
  let hosts: GitLabHosts
  /// Of another host; its limits and answers are shared.
  let client: APIClient
  let tokens: GitLabTokens

  /// The project of a merge request.
  /// - Parameters:
  ///   - id: its number, if known.
  ///   - path: `group/project`, plain.
  ///   - url: the merge request's own address, which decides if the integration names no instance.
  /// - Returns: nil if it is not a path, so that it cannot lead to another one.
  func project(
    _ id: Int64?, path: String, mergeRequest url: String, integration: Integration?
  ) throws(GitLabHosts.Fault) -> GitLabProject? {
    let instance = try hosts.instance(of: integration, mergeRequest: url)
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    let isPath = parts.count >= 2 && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
    guard let name = id.map({ String($0) }) ?? (isPath ? path : nil) else { return nil }
    return GitLabProject(
      instance: instance, client: instance.api(client), name: name, integration: integration, tokens: tokens)
  }
}

/// A project at an instance that may be called.
struct GitLabProject: Sendable {
  let instance: GitLabInstance
  /// Of the instance's API.
  let client: APIClient
  /// Its number or path, plain.
  var name: String
  /// Whose token is used; nil if there is none.
  let integration: Integration?
  let tokens: GitLabTokens

  /// `/projects/{id}`, encoded.
  var path: String { "/projects/\(name.percentEncoded)" }

  private var isNamedByPath: Bool { name.contains("/") }

  private struct Numbered: Decodable {
    var id: Int64
  }

  /// The same project, named by its number.
  private func byNumber(_ caller: APICaller) async throws(APIFault) -> GitLabProject {
    let answer = try await client.get(path, as: caller)
    var project = self
    project.name = String(try APIClient.decode(Numbered.self, from: answer.body).id)
    return project
  }

  /// Makes writing calls. GitLab redirects only reads of a project that has moved, and refuses writes: then it is called by its number, which
  /// stays.
  func writing<Value: Sendable>(
    as caller: APICaller, _ body: (GitLabProject) async throws(APIFault) -> Value
  ) async throws(APIFault) -> Value {
    do {
      return try await body(self)
    } catch .refused(let message) where message.hasPrefix("it answered 405") && isNamedByPath {
      return try await body(try await byNumber(caller))
    }
  }

  /// Makes calls with the project's token, which is renewed if necessary. It may have been renewed elsewhere, or withdrawn,
  /// since it was found good: on the first 401 it is looked at again.
  /// - Parameters:
  ///   - lifetime: how long the token is needed.
  ///   - body: gets nil if the integration has no token, or the review no integration.
  func withToken<Value: Sendable>(
    for lifetime: Duration, _ body: (GitLabTokens.Grant?) async throws(CollectFailure) -> Value
  ) async throws(CollectFailure) -> Value {
    let grant = try await grant(lifetime)
    do {
      return try await body(grant)
    } catch .call(.unauthorized, _) where grant != nil {
      if let grant { tokens.doubt(grant, in: name) }
      return try await body(try await self.grant(lifetime))
    }
  }

  private func grant(_ lifetime: Duration) async throws(CollectFailure) -> GitLabTokens.Grant? {
    guard let integration else { return nil }
    let scope = GitLabTokens.Scope(integration: integration, project: name, calls: GitLabTokenCalls(project: self))
    return try await tokens.grant(for: scope, lifetime: lifetime)
  }
}
