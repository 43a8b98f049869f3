import Foundation
import Primitives
import Reviews
import Sandbox
import Testing

@testable import Platforms

@Suite("GitLab hosts that may be called")
struct GitLabHostsTests {
  private static let entries = [
    "GitLab.com", "git.example.com:8443", "127.0.0.1", "127.0.0.1.evil.example", "plain.example",
  ]
  private static let hosts = GitLabHosts(entries)

  @Test(
    "an allowed host may be called with all ports, or with one, and its address is written in one way",
    arguments: [
      ("https://gitlab.com/", "https://gitlab.com"), ("HTTPS://GitLab.com:443", "https://gitlab.com"),
      ("https://gitlab.com:444/x", "https://gitlab.com:444/x"),
      ("https://git.example.com:8443/scm/", "https://git.example.com:8443/scm"),
      ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ])
  func allowed(address: String, url: String) throws {
    #expect(try Self.hosts.instance(at: address).url == url)
  }

  /// Addresses that no token may be sent to, and why.
  static let refusals: [(address: String, fault: GitLabHosts.Fault)] = [
    ("gitlab.com", .noAddress), ("ftp://gitlab.com", .noAddress), ("https://u:p@gitlab.com", .noAddress),
    ("https://gitlab.com@evil.example", .noAddress), ("https://gitlab.com?x=1", .noAddress),
    ("https://evil.example", other("evil.example")), ("https://git.example.com", other("git.example.com")),
    ("https://notgitlab.com", other("notgitlab.com")),
    ("https://gitlab.com.evil.example", other("gitlab.com.evil.example")),
    ("http://gitlab.com", .withoutTLS(authority: "gitlab.com")),
    ("http://plain.example:8080", .withoutTLS(authority: "plain.example:8080")),
    ("http://127.0.0.1.evil.example", .withoutTLS(authority: "127.0.0.1.evil.example")),
  ]

  private static func other(_ authority: String) -> GitLabHosts.Fault {
    .notAllowed(
      authority: authority,
      allowed: "127.0.0.1, 127.0.0.1.evil.example, git.example.com:8443, gitlab.com, plain.example")
  }

  @Test("any other is refused, with what to do and without what may be a password", arguments: refusals)
  func refused(address: String, fault: GitLabHosts.Fault) {
    #expect(throws: fault) { try Self.hosts.instance(at: address) }
    #expect("\(fault)".contains("instance-url") || "\(fault)".contains("BATON_GITLAB_HOSTS"))
    #expect(!"\(fault)".contains("u:p"))
  }

  private static let named: [(String?, String, GitLabHosts.Fault)] = refusals.map {
    ($0.address, "https://gitlab.com/acme/shop/-/merge_requests/17", $0.fault)
  }
  /// If the integration names no instance, the merge request's own address decides.
  private static let origins: [(String?, String, GitLabHosts.Fault)] = [
    (nil, "https://evil.example/acme/shop/-/merge_requests/17", other("evil.example")),
    (nil, "http://gitlab.com/acme/shop/-/merge_requests/17", .withoutTLS(authority: "gitlab.com")),
    ("", "http://plain.example/acme/shop", .withoutTLS(authority: "plain.example")),
    (nil, "https://u:p@gitlab.com/acme/shop", .noAddress), (nil, "nonsense", .noAddress),
  ]

  @Test(
    "neither preparing nor feedback calls such an address",
    arguments: named + origins)
  func callers(address: String?, url: String, fault: GitLabHosts.Fault) async throws {
    try await FakePlatformHarness.run { harness in
      let integration = try Samples.integration(token: "glpat-stored", instance: address)
      let access = try harness.access(gitlabHosts: Self.entries)
      let preparer = PlatformPreparer(access: access, logger: FakePlatformHarness.logger)
      let review = Samples.review(platform: .gitlab, url: url, integration: integration)
      #expect(preparer.targets(of: review).isEmpty)
      // A host that this consumer's setting lacks fails no review: another consumer may have it.
      let isSetting = "\(fault)".contains("BATON_GITLAB_HOSTS")
      let expected: PreparationError =
        isSetting
        ? .transient(message: "\(fault)", retryAfter: .seconds(60))
        : .permanent(.platformRefused, message: "\(fault)")
      await #expect(throws: expected) { try await preparer.prepare(review) }
      let feedback = PullRequestFeedback(
        reviewID: Samples.reviewID, subject: .eyes, attempt: 1, status: .pending, platform: .gitlab,
        repoFullName: "acme/shop", prNumber: 17, prUrl: url, headSha: "0a", integration: integration)
      #expect(
        await FeedbackSender(access: access).send(feedback) == (isSetting ? .blocked("\(fault)") : .refused("\(fault)"))
      )
      #expect(harness.fakePlatform.callCounts.isEmpty)
    }
  }
}
