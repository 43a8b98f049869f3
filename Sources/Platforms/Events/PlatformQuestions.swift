internal import FoundationEssentials
internal import NIOHTTP1
package import Primitives
package import Reviews

/// What is asked of GitHub and GitLab for events that name no commit or no right: who may ask for a review, where a pull request is, which
/// files it changes.
package struct PlatformQuestions: Sendable {
  let github: GitHubAccess
  let gitlab: GitLabAPI
  /// Where people see Baton's pages; nil if that is not set.
  let publicURL: String?

  package init(access: PlatformAccess, publicURL: String? = nil) {
    github = GitHubAccess(client: access.github, cipher: access.cipher, tokens: access.installationTokens)
    gitlab = access.gitlab
    self.publicURL = publicURL
  }

  /// The most pages of a hundred changed files that are read.
  private static let filePageCountMax = 30
  /// GitHub lists no more changed files than this.
  private static let githubFileCountMax = 3_000

  func answer<Value: Sendable>(
    _ integration: Integration, _ body: () async throws(FeedbackFault) -> Value
  ) async -> PlatformAnswer<Value> {
    if integration.isRevoked { return .refused("the integration was revoked, or is gone") }
    do {
      return .answer(try await body())
    } catch {
      return Self.answer(of: error)
    }
  }

  static func answer<Value: Sendable>(of fault: FeedbackFault) -> PlatformAnswer<Value> {
    switch FeedbackAnswer(fault) {
    case .delivered: .later("no answer", retryAfter: nil)
    case .later(let message, let delay): .later(message, retryAfter: delay)
    case .blocked(let message): .blocked(message)
    case .refused(let message): .refused(message)
    }
  }

  func repository(_ name: String) throws(FeedbackFault) -> String {
    guard let path = GitHubSource.path(of: name) else {
      throw .impossible("\"\(name)\" is not a GitHub repository's owner/name")
    }
    return path
  }

  func withProject<Value: Sendable>(
    _ id: Int64?, _ path: String, _ url: String, _ integration: Integration,
    _ body: (GitLabProject, APICaller) async throws(APIFault) -> Value
  ) async throws(FeedbackFault) -> Value {
    let project: GitLabProject?
    do {
      project = try gitlab.project(id, path: path, mergeRequest: url, integration: integration)
    } catch {
      throw FeedbackFault(error)
    }
    guard let project else { throw .impossible("\"\(path)\" is not a GitLab project's path") }
    do throws(CollectFailure) {
      return try await project.withToken(for: .seconds(60)) { grant throws(CollectFailure) in
        guard let grant else {
          throw .permanent(.integrationMissing, message: "the integration has no token")
        }
        do throws(APIFault) {
          return try await body(project, GitLabSource.caller(grant.secret))
        } catch {
          throw .call(error)
        }
      }
    } catch {
      throw FeedbackFault(error)
    }
  }

  // MARK: GitHub

  private struct Permission: Decodable {
    var permission: String
  }

  private struct File: Decodable, Sendable {
    var filename: String?
    var previous_filename: String?
    var new_path: String?
    var old_path: String?
  }

  /// Whether a person may write to a GitHub repository.
  package func mayWrite(_ login: String, to name: String, _ integration: Integration) async -> PlatformAnswer<Bool> {
    await answer(integration) { () throws(FeedbackFault) in
      let path = try repository(name)
      return try await github.withCaller(of: integration) { caller throws(APIFault) in
        do throws(APIFault) {
          let answer = try await github.client.get(
            "\(path)/collaborators/\(login.percentEncoded)/permission", as: caller)
          return ["admin", "maintain", "write"].contains(
            try APIClient.decode(Permission.self, from: answer.body).permission)
        } catch .missing {
          return false
        }
      }
    }
  }

  /// A pull request of GitHub as its API gives it: a webhook has the same.
  package func pullRequest(_ number: Int, of name: String, _ integration: Integration) async -> PlatformAnswer<
    JSONValue
  > {
    await answer(integration) { () throws(FeedbackFault) in
      let path = try repository(name)
      return try await github.withCaller(of: integration) { caller throws(APIFault) in
        let answer = try await github.client.get("\(path)/pulls/\(number)", as: caller)
        return try APIClient.decode(JSONValue.self, from: answer.body)
      }
    }
  }

  /// The files that a pull request changes, under their old names too.
  package func files(ofPullRequest number: Int, of name: String, _ integration: Integration) async -> PlatformAnswer<
    ChangedFiles
  > {
    await answer(integration) { () throws(FeedbackFault) in
      let path = try repository(name)
      return try await github.withCaller(of: integration) { caller throws(APIFault) in
        var (files, count) = try await Self.files("\(path)/pulls/\(number)/files", github.client, caller)
        files.isComplete = files.isComplete && count < Self.githubFileCountMax
        return files
      }
    }
  }

  /// - Returns: the files, complete if the list was read to its end, and how many entries it has.
  private static func files(
    _ path: String, _ client: APIClient, _ caller: APICaller
  ) async throws(APIFault) -> (files: ChangedFiles, count: Int) {
    var files: Set<String> = []
    var count = 0
    let isWhole = try await client.forEachPage(
      of: "\(path)?per_page=\(APIClient.pageSize)", as: caller, File.self, pageCountMax: filePageCountMax
    ) { page in
      count += page.count
      for file in page {
        files.formUnion([file.filename, file.previous_filename, file.new_path, file.old_path].compactMap { $0 })
      }
    }
    return (ChangedFiles(paths: files.sorted(), isComplete: isWhole), count)
  }

  private struct Changes: Decodable, Sendable {
    var changes: [File]
    /// Whether GitLab has left files out.
    var overflow: Bool?
  }

  private static func changedFiles(
    _ path: String, _ client: APIClient, _ caller: APICaller
  ) async throws(APIFault) -> ChangedFiles {
    let answer = try APIClient.decode(Changes.self, from: try await client.get(path, as: caller).body)
    let paths = Set(answer.changes.flatMap { [$0.new_path, $0.old_path].compactMap { $0 } }).sorted()
    return ChangedFiles(paths: paths, isComplete: answer.overflow != true && !paths.isEmpty)
  }

  // MARK: GitLab

  private struct Member: Decodable {
    var access_level: Int
  }

  /// What a developer has at GitLab: the least access with which one can push.
  private static let developerAccess = 30

  /// Whether a user may write to a GitLab project.
  package func mayWrite(
    _ user: String, toProject id: Int64?, _ path: String, _ url: String, _ integration: Integration
  ) async -> PlatformAnswer<Bool> {
    await answer(integration) { () throws(FeedbackFault) in
      try await withProject(id, path, url, integration) { project, caller throws(APIFault) in
        do throws(APIFault) {
          let answer = try await project.client.get(
            "\(project.path)/members/all/\(user.percentEncoded)", as: caller)
          return try APIClient.decode(Member.self, from: answer.body).access_level >= Self.developerAccess
        } catch .missing {
          return false
        }
      }
    }
  }

  /// A merge request of GitLab as its API gives it.
  package func mergeRequest(
    _ number: Int, ofProject id: Int64?, _ path: String, _ url: String, _ integration: Integration
  ) async -> PlatformAnswer<JSONValue> {
    await answer(integration) { () throws(FeedbackFault) in
      try await withProject(id, path, url, integration) { project, caller throws(APIFault) in
        let answer = try await project.client.get("\(project.path)/merge_requests/\(number)", as: caller)
        return try APIClient.decode(JSONValue.self, from: answer.body)
      }
    }
  }

  /// What GitLab keeps of a merge request's diff is bounded by files, lines and bytes, whichever comes first, and the list ends there. The count
  /// says so: `167+`. It is null until the diff of a new merge request is there.
  private struct Counted: Decodable {
    var changes_count: JSONValue?
  }

  /// The files that a merge request changes, under their old names too.
  package func files(
    ofMergeRequest number: Int, ofProject id: Int64?, _ path: String, _ url: String, _ integration: Integration
  ) async -> PlatformAnswer<ChangedFiles> {
    await answer(integration) { () throws(FeedbackFault) in
      try await withProject(id, path, url, integration) { project, caller throws(APIFault) in
        let request = "\(project.path)/merge_requests/\(number)"
        do throws(APIFault) {
          var (files, count) = try await Self.files("\(request)/diffs", project.client, caller)
          let answer = try await project.client.get(request, as: caller)
          let total = try APIClient.decode(Counted.self, from: answer.body).changes_count
          files.isComplete = files.isComplete && total == .string("\(count)")
          return files
        } catch .missing {
          // GitLab before 15.7 has no list of them.
          return try await Self.changedFiles("\(request)/changes", project.client, caller)
        }
      }
    }
  }
}

/// An answer, or why there is none.
package enum PlatformAnswer<Value: Sendable>: Sendable {
  case answer(Value)
  /// It may go better later.
  case later(String, retryAfter: Duration?)
  /// The settings of this process are in the way: it waits for the operator.
  case blocked(String)
  case refused(String)
}
