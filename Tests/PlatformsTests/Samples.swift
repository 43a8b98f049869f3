import Foundation
import Primitives
import Reviews

@testable import Platforms

/// What several suites start from.
enum Samples {
  static let key = [UInt8](0..<32)
  static let reviewID = UUID(uuidString: "11111111-2222-3333-4444-555555555555")!
  static let integrationID = UUID(uuidString: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")!

  static func review(
    platform: Platform = .github, repository: String = "acme/shop", number: Int = 17, projectID: Int64? = nil,
    url: String = "https://github.com/acme/shop/pull/17", headRef: String = "round-prices",
    configuration: String? = "{}", integration: Integration? = nil, previousSession: String? = nil,
    previousHead: String? = nil
  ) -> LeasedReview {
    LeasedReview(
      id: reviewID, attempt: 2, owner: Owner(type: .org, id: "acme"), userId: "u-1", platform: platform,
      platformIntegrationId: integration?.id, platformProjectId: projectID, repoFullName: repository, prNumber: number,
      prUrl: url, prTitle: "Round prices", prAuthor: "dvora", baseRef: "main", headRef: headRef,
      headSha: "0123456789abcdef0123456789abcdef01234567", previousSessionId: previousSession,
      previousHeadSha: previousHead,
      claimedAt: Timestamp(microseconds: 0), leasedAt: Timestamp(microseconds: 0), configuration: configuration,
      integration: integration)
  }

  static func facts() -> PullRequestFacts {
    PullRequestFacts(
      title: "Round prices half to even", author: "dvora", description: "See #12.", isDraft: false, isFork: false,
      headSha: "0123456789abcdef0123456789abcdef01234567", baseRef: "main", headRef: "round-prices",
      repository: "acme/shop", summary: .missing,
      inlineComments: InlineComments())
  }

  /// An integration with a stored token.
  static func integration(token: String, instance: String? = nil) throws -> Integration {
    Integration(
      id: integrationID, instanceUrl: instance,
      tokenCiphertext: try TokenCipher(key: key).seal(Secret(token), for: integrationID))
  }
}
