internal import FoundationEssentials
internal import NIOHTTP1
package import Primitives
package import Reviews

/// A repository that an installation may read.
package struct ListedRepository: Sendable, Equatable {
  package var fullName: String
  /// Whether it has an open issue or pull request, and can have new ones.
  package var mayHaveOpen: Bool
}

extension PlatformQuestions {
  private struct Repository: Decodable, Sendable {
    var full_name: String
    var archived: Bool?
    var disabled: Bool?
    /// Pull requests are counted as well.
    var open_issues_count: Int?
  }

  private struct Repositories: Decodable, Sendable {
    var repositories: [Repository]
  }

  /// A page of the repositories of an integration's installation.
  /// - Parameters:
  ///   - page: from 1.
  ///   - integration: of a GitHub App.
  package func repositories(_ page: Int, of integration: Integration) async -> PlatformAnswer<
    PlatformPage<ListedRepository>
  > {
    await answer(integration) { () throws(FeedbackFault) in
      try await github.withCaller(of: integration, asApp: true) { caller throws(APIFault) in
        let answer = try await github.client.get(
          "/installation/repositories?per_page=\(APIClient.pageSize)&page=\(page)", as: caller)
        let items = try APIClient.decode(Repositories.self, from: answer.body).repositories
        return PlatformPage(
          items: items.map { item in
            ListedRepository(
              fullName: item.full_name,
              mayHaveOpen: item.archived != true && item.disabled != true && item.open_issues_count != 0)
          }, next: Self.nextPage(page, answer))
      }
    }
  }

  /// A page of the open pull requests of a GitHub repository, those that have changed last first.
  package func openPullRequests(
    _ page: Int, of name: String, _ integration: Integration
  ) async -> PlatformAnswer<PlatformPage<JSONValue>> {
    await answer(integration) { () throws(FeedbackFault) in
      let path = try repository(name)
      return try await github.withCaller(of: integration) { caller throws(APIFault) in
        let answer = try await github.client.get(
          "\(path)/pulls?state=open&sort=updated&direction=desc&per_page=\(APIClient.pageSize)&page=\(page)",
          as: caller)
        return PlatformPage(
          items: try APIClient.decode([JSONValue].self, from: answer.body), next: Self.nextPage(page, answer))
      }
    }
  }

  /// A page of the open merge requests of a GitLab project, those that have changed last first.
  package func openMergeRequests(
    _ page: Int, ofProject id: Int64, _ url: String, _ integration: Integration
  ) async -> PlatformAnswer<PlatformPage<JSONValue>> {
    await answer(integration) { () throws(FeedbackFault) in
      try await withProject(id, "", url, integration) { project, caller throws(APIFault) in
        let answer = try await project.client.get(
          "\(project.path)/merge_requests?state=opened&order_by=updated_at&sort=desc&per_page=\(APIClient.pageSize)"
            + "&page=\(page)", as: caller)
        return PlatformPage(
          items: try APIClient.decode([JSONValue].self, from: answer.body), next: Self.nextPage(page, answer))
      }
    }
  }

  private static func nextPage(_ page: Int, _ answer: APIAnswer) -> String? {
    let link = answer.headers[canonicalForm: "link"].joined(separator: ",")
    return LinkHeader.target(of: "next", in: link).map { _ in "\(page + 1)" }
  }
}
