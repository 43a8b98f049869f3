import CryptoExtras
import Foundation
import NIOHTTP1
import Primitives
import Resilience
import Reviews
import Sandbox
import Testing

@testable import Platforms

@Suite("Rate limits of a process")
struct RateLimitTests {
  private static let app = (id: "12345", key: Secret(AppKey.sample.pemRepresentation))

  /// A review of one installation, in a repository named for it.
  private static func review(_ installation: Int) -> LeasedReview {
    Samples.review(
      repository: "owner-\(installation)/shop",
      integration: Integration(id: Samples.integrationID, installationId: "\(installation)"))
  }

  private static func delay(_ error: PreparationError?) -> Duration? {
    if case .transient(_, let delay)? = error { delay } else { nil }
  }

  @Test(
    "after a limit no review of that installation calls until its end, and those of others go on",
    arguments: [
      FakeFault(
        route: .githubPull, path: "owner-1/", times: 1, status: 403,
        headers: ["x-ratelimit-remaining": "0", "x-ratelimit-reset": "2000000120"]),
      FakeFault(
        route: .githubReviewComments, path: "owner-1/", times: 1, status: 429, headers: ["retry-after": "120"]),
      FakeFault(
        route: .githubIssueComments, path: "owner-1/", times: 1, status: 403, headers: ["retry-after": "120"],
        body: #"{"message":"You have exceeded a secondary rate limit."}"#),
    ])
  func installation(_ fault: FakeFault) async throws {
    try await FakePlatformHarness.run { harness in
      let clock = StoppedClock(2_000_000_000)
      let preparer = try harness.preparer(app: Self.app, now: { clock.now })
      harness.fakePlatform.add(fault)
      let first = await #expect(throws: PreparationError.self) { try await preparer.prepare(Self.review(1)) }
      #expect(first?.waits(for: .seconds(120)) == true)
      // Of the first review's comments a call may still be on its way.
      func counts() -> [Int?] {
        [FakeRoute.githubInstallationToken, .githubPull].map { harness.fakePlatform.callCounts[$0] }
      }
      let before = counts()
      clock.advance(by: 20)
      let second = await #expect(throws: PreparationError.self) { try await preparer.prepare(Self.review(1)) }
      #expect(second?.waits(for: .seconds(100)) == true)
      #expect(counts() == before)
      _ = try await preparer.prepare(Self.review(2))
      clock.advance(by: 100)
      _ = try await preparer.prepare(Self.review(1))
      #expect(preparer.circuits.all.allSatisfy { $0.state == .closed })
    }
  }

  @Test("what feedback learns of a limit holds for preparing, and the other way round")
  func shared() async throws {
    try await FakePlatformHarness.run { harness in
      let access = try harness.access()
      let (preparer, sender) = (
        PlatformPreparer(access: access, logger: FakePlatformHarness.logger), FeedbackSender(access: access)
      )
      let integration = try Samples.integration(token: "glpat-stored", instance: harness.address)
      func feedback(_ platform: Platform) -> PullRequestFeedback {
        PullRequestFeedback(
          reviewID: Samples.reviewID, subject: .eyes, attempt: 1, status: .pending, platform: platform,
          repoFullName: "acme/shop", prNumber: 17, prUrl: "", headSha: "0a", integration: integration)
      }
      let limit = ["retry-after": "1000"]
      harness.fakePlatform.add(FakeFault(route: .githubReaction, times: 1, status: 429, headers: limit))
      guard case .later = await sender.send(feedback(.github)) else {
        Issue.record("sent in spite of the limit")
        return
      }
      let held = await #expect(throws: PreparationError.self) {
        try await preparer.prepare(Samples.review(integration: integration))
      }
      #expect(Self.delay(held).map { $0 > .seconds(900) } == true, "\(String(describing: held))")
      harness.fakePlatform.add(FakeFault(route: .gitlabMergeRequest, times: 1, status: 429, headers: limit))
      let review = Samples.review(platform: .gitlab, integration: integration)
      await #expect(throws: PreparationError.self) { try await preparer.prepare(review) }
      guard case .later(_, let wait?) = await sender.send(feedback(.gitlab)) else {
        Issue.record("sent in spite of the limit")
        return
      }
      #expect(wait > .seconds(900))
      let counts = harness.fakePlatform.callCounts
      #expect(counts[.githubPull] == nil && counts[.gitlabAwardEmoji] == nil)
    }
  }

  @Test("an installation's token is got once, for preparing and for feedback")
  func sharedToken() async throws {
    try await FakePlatformHarness.run { harness in
      let access = try harness.access(app: Self.app)
      let review = Self.review(1)
      _ = try await PlatformPreparer(access: access, logger: FakePlatformHarness.logger).prepare(review)
      let feedback = PullRequestFeedback(
        reviewID: review.id, subject: .eyes, attempt: 1, status: .pending, platform: .github,
        repoFullName: review.repoFullName, prNumber: 17, prUrl: "", headSha: "0a",
        integration: Integration(id: Samples.integrationID, installationId: "1"))
      #expect(await FeedbackSender(access: access).send(feedback) == .delivered(checkRunID: nil))
      #expect(harness.fakePlatform.callCounts[.githubInstallationToken] == 1)
    }
  }

  @Test("the last success that a limit allows is used, and what follows waits for the reset")
  func exhausted() async throws {
    try await FakePlatformHarness.run { harness in
      let clock = StoppedClock(2_000_000_000)
      let preparer = try harness.preparer(now: { clock.now })
      harness.fakePlatform.setRateLimit(3, resetAt: 2_000_000_060)
      _ = try await preparer.prepare(Samples.review())
      let before = harness.fakePlatform.callCounts
      let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(Samples.review()) }
      #expect(error?.waits(for: .seconds(60)) == true)
      #expect(harness.fakePlatform.callCounts == before)
      let stored = Samples.review(integration: try Samples.integration(token: "ghp_stored"))
      _ = try await preparer.prepare(stored)
    }
  }

  @Test("a longer wait that is known stays, and a clock that was set back holds up no caller for long")
  func bounds() {
    let limits = RateLimits()
    let now = Date(timeIntervalSince1970: 1_000_000)
    limits.hold("a", at: "h", for: .seconds(100), now: now)
    limits.hold("a", at: "h", for: .seconds(5), now: now)
    #expect(limits.wait(of: "a", at: "h", now: now) == .seconds(100))
    #expect(limits.wait(of: "a", at: "other", now: now) == nil && limits.wait(of: "b", at: "h", now: now) == nil)
    #expect(limits.wait(of: "a", at: "h", now: now.addingTimeInterval(100)) == nil)
    #expect(limits.wait(of: "a", at: "h", now: now.addingTimeInterval(-1_000_000)) == RateLimitDelay.max)
  }

  @Test("limits that are used up are known by their host, until the last of them has ended")
  func usedUp() {
    let limits = RateLimits()
    let start = Date(timeIntervalSince1970: 1_000_000)
    limits.hold("a", at: "h", for: .seconds(60), now: start)
    limits.hold("a", at: "h", for: .seconds(10), now: start.addingTimeInterval(1))
    limits.hold("b", at: "h", for: .seconds(90), now: start.addingTimeInterval(10))
    #expect(
      limits.usedUp(now: start.addingTimeInterval(20)) == [
        UsedUpLimit(authority: "h", accountCount: 2, age: .seconds(20), rest: .seconds(80))
      ])
    #expect(limits.usedUp(now: start.addingTimeInterval(70)).map(\.accountCount) == [1])
    #expect(limits.usedUp(now: start.addingTimeInterval(100)).isEmpty)
    // One that has ended begins anew.
    limits.hold("a", at: "h", for: .seconds(60), now: start.addingTimeInterval(200))
    #expect(limits.usedUp(now: start.addingTimeInterval(201)).map(\.age) == [.seconds(1)])
  }

  @Test("the least share that is left is known by host, until the limit is renewed; answers may come in any order")
  func leastLeft() {
    let limits = RateLimits()
    let start = Date(timeIntervalSince1970: 1_000_000)
    func note(
      _ account: String, _ left: String, of limit: String = "5000", end: Int = 1_000_060, resource: String = "core"
    ) {
      let headers: HTTPHeaders = [
        "x-ratelimit-remaining": left, "x-ratelimit-limit": limit, "x-ratelimit-reset": "\(end)",
        "x-ratelimit-resource": resource,
      ]
      limits.note(headers, of: account, at: "h", now: start)
    }
    note("a", "4000")
    note("b", "2500")
    note("b", "2600")
    note("b", "29", of: "30", resource: "search")
    limits.note(
      ["ratelimit-remaining": "150", "ratelimit-limit": "600", "ratelimit-reset": "1000030"], of: "c", at: "gitlab",
      now: start)
    limits.note(["x-ratelimit-remaining": "1"], of: "d", at: "h", now: start)
    note("e", "many")
    note("f", "0", of: "0")
    #expect(limits.leastLeft(now: start) == ["h": 0.5, "gitlab": 0.25])
    #expect(limits.leastLeft(now: start.addingTimeInterval(40)) == ["h": 0.5])
    note("b", "5000", end: 1_003_660)
    #expect(limits.leastLeft(now: start.addingTimeInterval(40)) == ["h": 0.8])
    #expect(limits.leastLeft(now: start.addingTimeInterval(70)) == ["h": 1])
  }
}
