import CryptoExtras
import Foundation
import Primitives
import Reviews
import Sandbox
import Testing

@testable import Platforms

@Suite("Feedback on pull requests")
struct FeedbackTests {
  private static let sha = "0123456789abcdef0123456789abcdef01234567"

  private func feedback(
    _ subject: PullRequestFeedback.Subject, _ status: ReviewStatus = .pending, platform: Platform = .github,
    instance: String? = nil, gateResult: String? = nil
  ) throws -> PullRequestFeedback {
    PullRequestFeedback(
      reviewID: Samples.reviewID, subject: subject, attempt: 1, status: status, platform: platform,
      platformProjectId: platform == .gitlab ? 7 : nil, repoFullName: "acme/shop", prNumber: 17,
      prUrl: "https://github.com/acme/shop/pull/17", headSha: Self.sha, gateResult: gateResult,
      integration: try Samples.integration(token: "t", instance: instance))
  }

  @Test("a reaction is there once, however often it is sent")
  func reaction() async throws {
    try await FakePlatformHarness.run { harness in
      let sender = FeedbackSender(access: try harness.access())
      for _ in 0..<2 {
        #expect(await sender.send(try feedback(.eyes)) == .delivered(checkRunID: nil))
        let gitlab = try feedback(.hooray, .completed, platform: .gitlab, instance: harness.address)
        #expect(await sender.send(gitlab) == .delivered(checkRunID: nil))
      }
      #expect(harness.fakePlatform.feedback.map(\.state) == ["eyes", "tada"])
      #expect(harness.fakePlatform.feedback.map(\.number) == [17, 17])
    }
  }

  @Test("a check run follows its review to its end")
  func checkRun() async throws {
    try await FakePlatformHarness.run { harness in
      let sender = FeedbackSender(access: try harness.access())
      var gate = try feedback(.gate)
      guard case .delivered(let id?) = await sender.send(gate) else { return #expect(Bool(false)) }
      for (status, result) in [(ReviewStatus.queued, nil), (.running, nil), (.completed, "fail")]
        as [(ReviewStatus, String?)]
      {
        (gate.checkRunID, gate.toldAttempt, gate.toldStatus) = (id, 1, gate.status)
        (gate.status, gate.gateResult) = (status, result)
        #expect(await sender.send(gate) == .delivered(checkRunID: id))
      }
      #expect(harness.fakePlatform.feedback.map(\.state) == ["queued", "queued", "in_progress", "failure"])
      #expect(harness.fakePlatform.feedback.allSatisfy { $0.number == Int(id) && $0.sha == Self.sha })
    }
  }

  @Test(
    "the end of a check run says what the agent found, or that it was not found out",
    arguments: [
      (ReviewStatus.completed, "pass", "success", "success"), (.completed, "fail", "failure", "failed"),
      (.completed, nil, "neutral", "success"), (.failed, nil, "failure", "failed"),
      (.cancelled, nil, "cancelled", "canceled"),
    ] as [(ReviewStatus, String?, String, String)])
  func conclusion(status: ReviewStatus, result: String?, github: String, gitlab: String) async throws {
    try await FakePlatformHarness.run { harness in
      let sender = FeedbackSender(access: try harness.access())
      _ = await sender.send(try feedback(.gate, status, gateResult: result))
      _ = await sender.send(
        try feedback(.gate, status, platform: .gitlab, instance: harness.address, gateResult: result))
      #expect(harness.fakePlatform.feedback.map(\.state) == [github, gitlab])
    }
  }

  @Test("a pull request that was closed before its review began has no failed check")
  func closed() async throws {
    try await FakePlatformHarness.run { harness in
      let sender = FeedbackSender(access: try harness.access())
      for platform in Platform.allCases {
        var gate = try feedback(.gate, .failed, platform: platform, instance: harness.address)
        gate.errorCode = ErrorCode.pullRequestClosed.rawValue
        _ = await sender.send(gate)
      }
      #expect(harness.fakePlatform.feedback.map(\.state) == ["neutral", "canceled"])
    }
  }

  @Test("a check run that was made but not recorded is found again, rather than made twice")
  func orphan() async throws {
    try await FakePlatformHarness.run { harness in
      let sender = FeedbackSender(access: try harness.access())
      let first = await sender.send(try feedback(.gate))
      var again = try feedback(.gate, .completed, gateResult: "pass")
      again.tries = 2
      #expect(await sender.send(again) == first)
      #expect(harness.fakePlatform.feedback.map(\.state) == ["queued", "success"])
    }
  }

  @Test("a new attempt has a check run of its own, and that of the old one is ended first")
  func newAttempt() async throws {
    try await FakePlatformHarness.run { harness in
      let sender = FeedbackSender(access: try harness.access())
      guard case .delivered(let old?) = await sender.send(try feedback(.gate, .running)) else {
        return #expect(Bool(false))
      }
      var gate = try feedback(.gate)
      gate.attempt = 2
      (gate.checkRunID, gate.toldAttempt, gate.toldStatus) = (old, 1, .running)
      guard case .delivered(let new?) = await sender.send(gate) else { return #expect(Bool(false)) }
      #expect(new != old)
      #expect(harness.fakePlatform.feedback.map(\.state) == ["in_progress", "cancelled", "queued"])
      #expect(harness.fakePlatform.feedback.map(\.number) == [old, old, new].map { Int($0) })
    }
  }

  @Test("refusals and outages are distinguished", arguments: [404, 403, 401, 500, 503])
  func faults(status: Int) async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.add(FakeFault(route: .githubReaction, status: status))
      switch await (FeedbackSender(access: try harness.access())).send(try feedback(.eyes)) {
      case .refused: #expect(status < 500)
      case .later: #expect(status >= 500)
      case .delivered, .blocked: #expect(Bool(false))
      }
    }
  }

  @Test("nothing is sent without a token, for a revoked integration, or to a host that is not allowed")
  func impossible() async throws {
    try await FakePlatformHarness.run { harness in
      let sender = FeedbackSender(access: try harness.access())
      var bare = try feedback(.eyes)
      bare.integration.tokenCiphertext = nil
      var revoked = try feedback(.eyes)
      revoked.integration.isRevoked = true
      let elsewhere = try feedback(.eyes, platform: .gitlab, instance: "https://evil.example")
      for feedback in [bare, revoked] {
        guard case .refused = await sender.send(feedback) else { return #expect(Bool(false)) }
      }
      // That is for the operator: another process may have the host.
      guard case .blocked = await sender.send(elsewhere) else { return #expect(Bool(false)) }
      #expect(harness.fakePlatform.callCounts.isEmpty)
    }
  }

  /// What feedback, a task's check and a question come to for an installation.
  private func answers(_ access: PlatformAccess) async throws -> [FeedbackAnswer] {
    let integration = Integration(id: Samples.integrationID, installationId: "42")
    var gate = try feedback(.gate)
    gate.integration = integration
    let questions = PlatformQuestions(access: access)
    let question: FeedbackAnswer =
      switch await questions.pullRequest(17, of: "acme/shop", integration) {
      case .answer: .delivered(checkRunID: nil)
      case .later(let message, let delay): .later(message, retryAfter: delay)
      case .blocked(let message): .blocked(message)
      case .refused(let message): .refused(message)
      }
    let check = PlatformCheck(
      platform: .github, repository: "acme/shop", projectId: nil, url: "", sha: Self.sha, conclusion: .neutral,
      title: "t", summary: "s", externalId: "x")
    return [await FeedbackSender(access: access).send(gate), await questions.show(check, for: integration), question]
  }

  @Test("without the app of an installation, all that is to be done at GitHub waits for the operator")
  func appMissing() async throws {
    try await FakePlatformHarness.run { harness in
      for answer in try await answers(try harness.access()) {
        guard case .blocked(let message) = answer else {
          Issue.record("\(answer)")
          continue
        }
        #expect(message.contains("BATON_GITHUB_APP_ID"), "\(message)")
      }
      #expect(harness.fakePlatform.callCounts.isEmpty)
    }
  }

  @Test("an app whose signature GitHub does not accept waits for the operator")
  func appRefused() async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.add(FakeFault(route: .githubInstallationToken, status: 401))
      harness.fakePlatform.add(FakeFault(route: .githubHookDeliveries, status: 401))
      let access = try harness.access(app: (id: "12345", key: Secret(AppKey.sample.pemRepresentation)))
      for answer in try await answers(access) {
        guard case .blocked(let message) = answer else {
          Issue.record("\(answer)")
          continue
        }
        #expect(message.contains("BATON_GITHUB_PRIVATE_KEY"), "\(message)")
      }
      guard case .blocked = await PlatformQuestions(access: access).appWebhooks(after: nil) else {
        Issue.record("the app's own calls do not wait")
        return
      }
    }
  }

  @Test("an installation that is gone is refused: that is the owner's decision")
  func installationGone() async throws {
    try await FakePlatformHarness.run { harness in
      let access = try harness.access(app: (id: "12345", key: Secret(AppKey.sample.pemRepresentation)))
      // Whether it is another app's installation is not known before the app has got a token.
      harness.fakePlatform.add(FakeFault(route: .githubInstallationToken, times: 3, status: 404))
      for answer in try await answers(access) {
        guard case .blocked(let message) = answer else { Issue.record("\(answer)"); continue }
        #expect(message.contains("BATON_GITHUB_APP_ID"), "\(message)")
      }
      let known = Integration(id: Samples.integrationID, installationId: "7")
      _ = await PlatformQuestions(access: access).pullRequest(17, of: "acme/shop", known)
      harness.fakePlatform.add(FakeFault(route: .githubInstallationToken, status: 404))
      for answer in try await answers(access) {
        guard case .refused = answer else { Issue.record("\(answer)"); continue }
      }
    }
  }

  @Test("of an integration with a token and an installation, what only apps may do goes by the installation")
  func asApp() async throws {
    try await FakePlatformHarness.run { harness in
      var integration = try Samples.integration(token: "stored")
      integration.installationId = "7"
      var (reaction, gate) = (try feedback(.eyes), try feedback(.gate))
      (reaction.integration, gate.integration) = (integration, integration)
      let check = PlatformCheck(
        platform: .github, repository: "acme/shop", projectId: nil, url: "", sha: Self.sha, conclusion: .neutral,
        title: "t", summary: "s", externalId: "x")
      /// How many tokens of the installation the calls of a new process get.
      func tokenCount(
        app: (id: String, key: Secret)? = (id: "12345", key: Secret(AppKey.sample.pemRepresentation)),
        _ call: (PlatformAccess) async -> Void
      ) async throws -> Int {
        let before = harness.fakePlatform.callCounts[.githubInstallationToken] ?? 0
        await call(try harness.access(app: app))
        return (harness.fakePlatform.callCounts[.githubInstallationToken] ?? 0) - before
      }
      #expect(try await tokenCount { _ = await FeedbackSender(access: $0).send(reaction) } == 0)
      #expect(
        try await tokenCount { _ = await PlatformQuestions(access: $0).mayWrite("a", to: "acme/shop", integration) }
          == 0)
      #expect(try await tokenCount { _ = await FeedbackSender(access: $0).send(gate) } == 1)
      #expect(try await tokenCount { _ = await PlatformQuestions(access: $0).show(check, for: integration) } == 1)
      #expect(try await tokenCount { _ = await PlatformQuestions(access: $0).repositories(1, of: integration) } == 1)
      // Without an app the stored token is all that there is.
      let states = harness.fakePlatform.feedback.count
      #expect(try await tokenCount(app: nil) { _ = await FeedbackSender(access: $0).send(gate) } == 0)
      #expect(harness.fakePlatform.feedback.count == states + 1)
    }
  }

  @Test("a question to a GitLab host that is not allowed waits for the operator")
  func hostNotAllowed() async throws {
    try await FakePlatformHarness.run { harness in
      let integration = try Samples.integration(token: "t", instance: "https://evil.example")
      let questions = PlatformQuestions(access: try harness.access())
      let answer = await questions.mergeRequest(17, ofProject: 7, "acme/shop", "", integration)
      guard case .blocked(let message) = answer else {
        Issue.record("\(answer)")
        return
      }
      #expect(message.contains("BATON_GITLAB_HOSTS"), "\(message)")
      #expect(harness.fakePlatform.callCounts.isEmpty)
    }
  }
}
