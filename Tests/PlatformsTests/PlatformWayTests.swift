import CryptoExtras
import Foundation
import NIOHTTP1
import Primitives
import Reviews
import Sandbox
import Testing
import WorkerAPI

@testable import Platforms

/// What stands between Baton and the API: redirects, clocks, wrong addresses.
@Suite("The way to the platforms")
struct PlatformWayTests {
  private static let app = (id: "12345", key: Secret(AppKey.sample.pemRepresentation))
  private static let installation = Integration(id: Samples.integrationID, installationId: "30614431")

  private func feedback(_ subject: PullRequestFeedback.Subject, _ platform: Platform, _ address: String) throws
    -> PullRequestFeedback
  {
    PullRequestFeedback(
      reviewID: Samples.reviewID, subject: subject, attempt: 1, status: .pending, platform: platform,
      platformProjectId: platform == .gitlab ? 7 : nil, repoFullName: "acme/shop", prNumber: 17,
      prUrl: "\(address)/acme/shop/17", headSha: "0123456789abcdef0123456789abcdef01234567",
      integration: try Samples.integration(token: "t", instance: address))
  }

  @Test("a write follows a redirect of the same host, with its method and body", arguments: [301, 302, 307, 308])
  func redirected(status: Int) async throws {
    try await FakePlatformHarness.run { harness in
      for (route, location) in [
        (FakeRoute.githubReaction, "\(harness.address)/repositories/146139403/issues/17/reactions"),
        (.githubCheckRuns, "/repositories/146139403/check-runs"),
        (.gitlabAwardEmoji, "/api/v4/projects/7/merge_requests/17/award_emoji"),
        (.gitlabStatus, "/api/v4/projects/7/statuses/0123456789abcdef0123456789abcdef01234567"),
      ] {
        harness.fakePlatform.add(FakeFault(route: route, times: 1, status: status, headers: ["location": location]))
      }
      let sender = FeedbackSender(access: try harness.access())
      for platform in Platform.allCases {
        for subject in [PullRequestFeedback.Subject.eyes, .gate] {
          guard case .delivered = await sender.send(try feedback(subject, platform, harness.address)) else {
            Issue.record("\(platform), \(subject)")
            continue
          }
        }
      }
      #expect(harness.fakePlatform.feedback.count == 4)
    }
  }

  @Test("GitLab refuses writes to a project by its former path; its number is asked for")
  func movedProject() async throws {
    try await FakePlatformHarness.run { harness in
      for path in ["acme%2Fshop/merge_requests", "acme%2Fshop/statuses"] {
        harness.fakePlatform.add(
          FakeFault(
            path: path, status: 405,
            body: #"{"message":"405 Method Not Allowed: Non GET methods are not allowed for moved projects"}"#))
      }
      harness.fakePlatform.add(FakeFault(path: "/projects/acme%2Fshop", status: 200, body: #"{"id":7}"#))
      let sender = FeedbackSender(access: try harness.access())
      for subject in [PullRequestFeedback.Subject.eyes, .gate] {
        var moved = try feedback(subject, .gitlab, harness.address)
        moved.platformProjectId = nil
        #expect(await sender.send(moved) == .delivered(checkRunID: nil))
      }
      let check = PlatformCheck(
        platform: .gitlab, repository: "acme/shop", projectId: nil, url: "\(harness.address)/acme/shop/17",
        sha: "0123456789abcdef0123456789abcdef01234567", conclusion: .neutral, title: "t", summary: "s",
        externalId: "x")
      let integration = try Samples.integration(token: "t", instance: harness.address)
      let shown = await PlatformQuestions(access: try harness.access()).show(check, for: integration)
      #expect(shown == .delivered(checkRunID: nil))
      #expect(harness.fakePlatform.feedback.count == 3)
    }
  }

  @Test("before GitLab 15.7, which has no list of diffs, a merge request's changes name its files")
  func filesOfOldVersions() async throws {
    try await FakePlatformHarness.run { harness in
      let questions = PlatformQuestions(access: try harness.access())
      let integration = try Samples.integration(token: "t", instance: harness.address)
      func files(_ changes: String) async -> ChangedFiles? {
        harness.fakePlatform.clear()
        harness.fakePlatform.add(FakeFault(route: .gitlabDiffs, status: 404, body: #"{"error":"404 Not Found"}"#))
        harness.fakePlatform.add(FakeFault(path: "/merge_requests/17/changes", status: 200, body: changes))
        let answer = await questions.files(ofMergeRequest: 17, ofProject: 7, "acme/shop", harness.address, integration)
        guard case .answer(let files) = answer else { return nil }
        return files
      }
      let changes = #""changes":[{"old_path":"a.md","new_path":"b.md"},{"old_path":"c","new_path":"c"}]"#
      #expect(await files("{\(changes)}") == ChangedFiles(paths: ["a.md", "b.md", "c"], isComplete: true))
      // A list that was cut, or is not there yet, says nothing about the other files.
      for text in [#"{"overflow":true,\#(changes)}"#, #"{"changes":[]}"#] {
        #expect(await files(text)?.isComplete == false, "\(text)")
      }
    }
  }

  @Test("a write follows no redirect to another host, and no loop")
  func notRedirected() async throws {
    try await FakePlatformHarness.run { harness in
      let sender = FeedbackSender(access: try harness.access())
      for location in [
        "http://localhost:\(harness.port)/repos/acme/shop/issues/17/reactions", "/repos/acme/shop/issues/17/reactions",
      ] {
        harness.fakePlatform.clear()
        harness.fakePlatform.add(
          FakeFault(route: .githubReaction, status: 307, headers: ["location": location]))
        guard case .later = await sender.send(try feedback(.eyes, .github, harness.address)) else {
          Issue.record("\(location)")
          continue
        }
        #expect(harness.fakePlatform.callCounts[.githubReaction] == (location.hasPrefix("/") ? 4 : 1))
      }
    }
  }

  @Test("a machine whose clock is wrong gets a token by the platform's clock, and keeps it for as long as it is good")
  func clock() async throws {
    try await FakePlatformHarness.run { harness in
      for offset in [-900.0, 7_200] {
        let access = try harness.access(
          app: Self.app, now: { Date().addingTimeInterval(offset) }, isClockCorrected: true)
        let preparer = PlatformPreparer(access: access, logger: FakePlatformHarness.logger)
        let before = harness.fakePlatform.callCounts[.githubInstallationToken] ?? 0
        for _ in 0..<2 { _ = try await preparer.prepare(Samples.review(integration: Self.installation)) }
        // Refused once, where the fake looks at the time; kept although it has ended by this machine's clock.
        let count = (harness.fakePlatform.callCounts[.githubInstallationToken] ?? 0) - before
        #expect(count == (offset < 0 ? 2 : 1), "\(offset): \(count)")
      }
    }
  }

  @Test("the first call as the app is made once more by the platform's clock: a process of cron has no later one")
  func clockOfApp() async throws {
    try await FakePlatformHarness.run { harness in
      await harness.fakePlatform.deliver("ping", "{}")
      let access = try harness.access(
        app: Self.app, now: { Date().addingTimeInterval(-900) }, isClockCorrected: true)
      guard case .answer(let page) = await PlatformQuestions(access: access).appWebhooks(after: nil) else {
        Issue.record("no answer")
        return
      }
      #expect(page.items.map(\.event) == ["ping"])
      #expect(harness.fakePlatform.callCounts[.githubHookDeliveries] == 2)
    }
  }

  @Test("a limit's reset is a time of the platform's clock")
  func resets() async throws {
    try await FakePlatformHarness.run { harness in
      let reset = Int(Date().timeIntervalSince1970) + 100
      harness.fakePlatform.add(.rateLimit(resetAt: reset))
      let access = try harness.access(now: { Date().addingTimeInterval(-3_000) }, isClockCorrected: true)
      let preparer = PlatformPreparer(access: access, logger: FakePlatformHarness.logger)
      let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(Samples.review()) }
      guard case .transient(_, let delay?)? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(delay < .seconds(300), "\(delay)")
    }
  }

  @Test("an address that answers 404 to everything is no API, and fails no review and no feedback")
  func wrongAddress() async throws {
    try await FakePlatformHarness.run { harness in
      for body in [
        #"{"message":"Not Found"}"#, #"{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}"#,
      ] {
        harness.fakePlatform.clear()
        harness.fakePlatform.add(FakeFault(status: 404, body: body))
        let access = try harness.access(app: Self.app)
        for integration in [Self.installation, try Samples.integration(token: "t"), nil] {
          let error = await #expect(throws: PreparationError.self) {
            try await PlatformPreparer(access: access, logger: FakePlatformHarness.logger)
              .prepare(Samples.review(integration: integration))
          }
          guard case .outage(_, let message, _)? = error else {
            Issue.record("\(String(describing: error))")
            continue
          }
          #expect(message.contains("BATON_GITHUB_API_URL"), "\(message)")
        }
        guard case .later = await FeedbackSender(access: access).send(try feedback(.eyes, .github, harness.address))
        else {
          Issue.record("given up")
          continue
        }
        // The same address, once it is right: its 404 is the review's own.
        harness.fakePlatform.clear()
        harness.fakePlatform.add(FakeFault(route: .githubPull, status: 404, body: body))
        let missing = await #expect(throws: PreparationError.self) {
          try await PlatformPreparer(access: access, logger: FakePlatformHarness.logger).prepare(Samples.review())
        }
        guard case .permanent(.pullRequestMissing, _)? = missing else {
          Issue.record("\(String(describing: missing))")
          continue
        }
      }
    }
  }

  @Test("GitHub's own 404 names the page of its route, which is evidence enough")
  func evidence() {
    func isAPI(_ page: String) -> Bool {
      APIEvidence.isAPI(missing: [:], Data(#"{"message":"Not Found","documentation_url":"\#(page)"}"#.utf8))
    }
    for page in [
      "https://docs.github.com/rest/pulls/pulls#get-a-pull-request", "https://developer.github.com/v3/pulls/#get-one",
      "https://docs.github.com/enterprise-server@3.9/rest/reference/apps#create-a-token",
    ] { #expect(isAPI(page), "\(page)") }
    for page in ["https://docs.github.com/rest", "https://developer.github.com/v3", "https://example.com/rest/x"] {
      #expect(!isAPI(page), "\(page)")
    }
  }

  @Test("base and head are those that the API names now")
  func retargeted() async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.setFields(
        ["base.ref": #""release""#, "head.ref": #""renamed""#], of: "acme/shop", number: 17)
      let payload = try await harness.preparer().prepare(Samples.review())
      let input = try JSONDecoder().decode(StartRequest.self, from: Data(payload.body)).sessionInput
      #expect(input.upstreamBranch == "renamed")
      #expect(input.prompt.contains("origin/release...") && !input.prompt.contains("origin/main..."))
    }
  }

  @Test("the newest summary is the one with the latest time, however the times are written")
  func newestSummary() async throws {
    try await FakePlatformHarness.run { harness in
      func comment(_ id: Int, _ time: String) -> String {
        #"{"id":\#(id),"body":"<!-- baton-review -->\nsummary \#(id)","updated_at":"\#(time)","performed_via_github_app":{"id":12345}}"#
      }
      harness.fakePlatform.setList(
        [
          comment(1, "2026-01-01T11:30:00+02:00"), comment(2, "2026-01-01T10:00:00Z"),
          comment(3, "2026-01-01T09:45:00.5Z"),
        ],
        route: .githubIssueComments, of: "acme/shop", number: 17)
      let review = Samples.review(integration: Self.installation)
      let payload = try await harness.preparer(app: Self.app).prepare(review)
      let prompt = try JSONDecoder().decode(StartRequest.self, from: Data(payload.body)).sessionInput.prompt
      #expect(prompt.contains("summary 2") && !prompt.contains("summary 1") && !prompt.contains("summary 3"))
    }
  }

  @Test("half of a character, and NUL, in an answer are read as U+FFFD", arguments: [#"a\ud83db"#, #"a\u0000b"#])
  func brokenText(_ text: String) async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.add(
        FakeFault(
          route: .githubPull,
          body: #"{"state":"open","title":"\#(text)","base":{"ref":"main","sha":"0a"},"head":{"ref":"f","sha":"0b"}}"#))
      let payload = try await harness.preparer().prepare(Samples.review())
      let prompt = try JSONDecoder().decode(StartRequest.self, from: Data(payload.body)).sessionInput.prompt
      #expect(prompt.contains("Title: a\u{FFFD}b\n"))
    }
  }
}
