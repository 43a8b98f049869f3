internal import FoundationEssentials
internal import Primitives
package import Reviews

/// A pull request or merge request that the stand-in knows, with what it takes to submit a review of it.
package struct FakePullRequest: Sendable, Equatable {
  package var platform: Platform
  /// GitLab's project; nil for GitHub.
  package var projectID: Int64?
  package var repository: String
  package var number: Int
  package var url: String
  package var title: String
  package var author: String
  package var baseRef: String
  package var headRef: String
  package var headSha: String
  package var isOpen: Bool
  /// Whether it was recorded from the platform, or made up out of a recorded one.
  package var isRecorded: Bool

  /// The review that a demo submits.
  package func review(owner: Owner) -> NewReview {
    NewReview(
      owner: owner, platform: platform, platformProjectId: projectID, repoFullName: repository, prNumber: number,
      prUrl: url, prTitle: title, prAuthor: author, baseRef: baseRef, headRef: headRef, headSha: headSha)
  }

  /// Those of GitHub that were recorded and are open, then made-up ones; then the recorded ones that are closed, whose
  /// reviews fail, and the one of GitLab, which needs an integration that names the stand-in.
  static let known: [FakePullRequest] = {
    let recorded = [Recording.pull1171, .helloWorldPull2, .pull3, .pull4, .pull1, .pull2, .pull31].compactMap(github)
    return recorded.filter(\.isOpen) + madeUpNumbers.map { madeUp("acme/\($0.0)", $0.1) }
      + recorded.filter { !$0.isOpen }
      + [Self.gitlab].compactMap { $0 }
  }()

  private static let madeUpNumbers = [
    ("shop", 17), ("shop", 18), ("shop", 21), ("billing", 4), ("billing", 9), ("search", 112), ("search", 115),
    ("mobile", 63),
  ]

  private static func madeUp(_ repository: String, _ number: Int) -> FakePullRequest {
    let pull = MadeUpPullRequest(repository: repository, number: number)
    return FakePullRequest(
      platform: .github, repository: repository, number: number, url: "https://github.com/\(repository)/pull/\(number)",
      title: pull.title, author: pull.author, baseRef: pull.baseRef, headRef: pull.headRef, headSha: pull.headSha,
      isOpen: true, isRecorded: false)
  }

  private static func github(_ recording: Recording) -> FakePullRequest? {
    guard let pull = try? JSONValue(json: recording.body),
      case .integer(let number)? = pull["number"], let url = pull["html_url"]?.string,
      let title = pull["title"]?.string,
      let author = pull["user"]?["login"]?.string, let base = pull["base"]?["ref"]?.string,
      let repository = pull["base"]?["repo"]?["full_name"]?.string, let head = pull["head"]?["ref"]?.string,
      let sha = pull["head"]?["sha"]?.string
    else { return nil }
    return FakePullRequest(
      platform: .github, repository: repository, number: Int(number), url: url, title: title, author: author,
      baseRef: base, headRef: head, headSha: sha, isOpen: pull["state"]?.string == "open", isRecorded: true)
  }

  private static let gitlab: FakePullRequest? = {
    let recording = Recording.mergeRequest14656
    guard let request = try? JSONValue(json: recording.body),
      case .integer(let number)? = request["iid"], case .integer(let project)? = request["project_id"],
      let url = request["web_url"]?.string, let title = request["title"]?.string,
      let author = request["author"]?["username"]?.string, let base = request["target_branch"]?.string,
      let head = request["source_branch"]?.string, let sha = request["sha"]?.string
    else { return nil }
    return FakePullRequest(
      platform: .gitlab, projectID: project, repository: "gitlab-org/gitlab-ee", number: Int(number), url: url,
      title: title, author: author, baseRef: base, headRef: head, headSha: sha,
      isOpen: request["state"]?.string == "opened", isRecorded: true)
  }()
}
