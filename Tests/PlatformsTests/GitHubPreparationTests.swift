import CryptoExtras
import Foundation
import Primitives
import Resilience
import Reviews
import Sandbox
import Testing
import WorkerAPI

@testable import Platforms

@Suite("Preparing from GitHub")
struct GitHubPreparationTests {
  private static let app = (id: "12345", key: Secret(AppKey.sample.pemRepresentation))
  private static let installation = Integration(id: Samples.integrationID, installationId: "30614431")

  private static func request(_ payload: PreparedPayload) throws -> StartRequest {
    try JSONDecoder().decode(StartRequest.self, from: Data(payload.body))
  }

  @Test("every pull request of a demo that is open can be prepared; a closed one fails as such")
  func known() async throws {
    try await FakePlatformHarness.run { harness in
      let preparer = try harness.preparer()
      for pull in FakePlatform.pullRequests() where pull.platform == .github {
        var review = Samples.review(repository: pull.repository, number: pull.number, headRef: pull.headRef)
        review.headSha = pull.headSha
        do {
          let payload = try await preparer.prepare(review)
          #expect(pull.isOpen)
          #expect(payload.headSha == pull.headSha)
          let request = try Self.request(payload)
          #expect(request.sessionInput.githubRepo == pull.repository)
          #expect(request.sessionInput.prompt.contains(pull.title))
          #expect(request.sessionInput.githubToken == nil)
        } catch PreparationError.permanent(.pullRequestClosed, _) {
          #expect(!pull.isOpen)
        }
      }
    }
  }

  @Test("a review costs three calls, and its target is the API's host")
  func calls() async throws {
    try await FakePlatformHarness.run { harness in
      let preparer = try harness.preparer()
      #expect(preparer.targets(of: Samples.review()) == ["127.0.0.1:\(harness.port)"])
      _ = try await preparer.prepare(Samples.review())
      #expect(harness.fakePlatform.callCounts == [.githubPull: 1, .githubIssueComments: 1, .githubReviewComments: 1])
    }
  }

  @Test("with an installation the first review costs four calls, and three while its token is fresh")
  func callsWithToken() async throws {
    try await FakePlatformHarness.run { harness in
      let preparer = try harness.preparer(app: Self.app)
      let review = Samples.review(integration: Self.installation)
      _ = try await preparer.prepare(review)
      let cold = harness.fakePlatform.callCounts
      #expect(
        cold == [.githubInstallationToken: 1, .githubPull: 1, .githubIssueComments: 1, .githubReviewComments: 1])
      _ = try await preparer.prepare(review)
      let warm = harness.fakePlatform.callCounts
      #expect(warm.values.reduce(0, +) - cold.values.reduce(0, +) == 3)
      #expect(warm[.githubInstallationToken] == 1)
    }
  }

  @Test("a stored name that is refused fails the review before any call, and names its column")
  func refusedName() async throws {
    try await FakePlatformHarness.run { harness in
      let preparer = try harness.preparer()
      var (base, head, sha, repository) = (Samples.review(), Samples.review(), Samples.review(), Samples.review())
      base.baseRef = "--upload-pack=x"
      head.headRef = "main\nINJECTED"
      sha.headSha = "--output=x"
      repository.repoFullName = "acme/../x"
      for (review, column) in [
        (base, "base_ref"), (head, "head_ref"), (sha, "head_sha"), (repository, "repo_full_name"),
      ] {
        let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(review) }
        guard case .permanent(.nameRefused, let message)? = error else {
          Issue.record("\(column): \(error as Any)")
          continue
        }
        #expect(message.contains(column))
      }
      #expect(harness.fakePlatform.callCounts.isEmpty)
    }
  }

  @Test("a repository's name that a platform reports and that is none is not used")
  func reportedName() {
    let review = Samples.review()
    #expect(GitHubSource.repository("acme/till", of: review) == "acme/till")
    for name in ["acme/$(x)", "../x", "-a/b", "acme/shop\nx", ""] {
      #expect(GitHubSource.repository(name, of: review) == "acme/shop")
    }
  }

  @Test("configuration and integration are checked before any call")
  func judgedFirst() async throws {
    try await FakePlatformHarness.run { harness in
      let preparer = try harness.preparer()
      var missing = Samples.review(integration: Self.installation)
      missing.integration = nil
      var revoked = Samples.review(integration: Self.installation)
      revoked.integration?.isRevoked = true
      for (review, code) in [
        (Samples.review(configuration: nil), ErrorCode.configMissing),
        (Samples.review(configuration: "[]"), .configInvalid), (missing, .integrationMissing),
        (revoked, .integrationRevoked), (Samples.review(repository: "shop"), .nameRefused),
      ] {
        let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(review) }
        guard case .permanent(code, _)? = error else {
          Issue.record("\(code): \(String(describing: error))")
          continue
        }
      }
      #expect(harness.fakePlatform.callCounts.isEmpty)
    }
  }

  @Test("only our own app's newest comment with the marker is the summary, on whichever page it stands")
  func summary() async throws {
    try await FakePlatformHarness.run { harness in
      func comment(_ id: Int, app: Int?, updated: String) -> String {
        let via = app.map { #"{"id":\#($0)}"# } ?? "null"
        return
          #"{"id":\#(id),"body":"<!-- baton-review --> text \#(id)","updated_at":"\#(updated)","performed_via_github_app":\#(via)}"#
      }
      var comments = (0..<240).map { #"{"id":\#($0),"body":"chatter"}"# }
      comments.insert(comment(900, app: nil, updated: "2026-09-01T00:00:00Z"), at: 0)
      comments.append(comment(901, app: 12345, updated: "2026-01-01T00:00:00Z"))
      comments.append(comment(902, app: 12345, updated: "2026-02-01T00:00:00Z"))
      comments.append(comment(903, app: 777, updated: "2026-09-01T00:00:00Z"))
      harness.fakePlatform.setList(comments, route: .githubIssueComments, of: "acme/shop", number: 17)
      let prompt = try Self.request(try await harness.preparer(app: Self.app).prepare(Samples.review())).sessionInput
        .prompt
      #expect(prompt.contains("issues/comments/902") && prompt.contains("text 902"))
      #expect(!prompt.contains("text 900") && !prompt.contains("text 903"))
      #expect(harness.fakePlatform.callCounts[.githubIssueComments] == 3)
      let anonymous = try Self.request(try await harness.preparer().prepare(Samples.review())).sessionInput.prompt
      #expect(anonymous.contains("you write the first"))
    }
  }

  @Test("comments that cannot be read do not fail the review", arguments: [500, 404, 403])
  func commentsFail(_ status: Int) async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.add(FakeFault(route: .githubIssueComments, status: status))
      harness.fakePlatform.add(FakeFault(route: .githubReviewComments, cut: true))
      let prompt = try Self.request(try await harness.preparer().prepare(Samples.review())).sessionInput.prompt
      #expect(
        prompt.contains("It could not be read whether one exists") && prompt.contains("could not be read just now"))
    }
  }

  @Test(
    "comments that GitHub is slow to give do not use up the review's time: it goes on without them, and says so",
    .timeLimit(.minutes(2)),
    arguments: [FakeRoute.githubIssueComments, .githubReviewComments])
  func slowComments(_ route: FakeRoute) async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.add(FakeFault(route: route, hang: true))
      let preparer = try harness.preparer(timeout: .seconds(600), timeMax: .seconds(4))
      let start = ContinuousClock.now
      let prompt = try Self.request(try await preparer.prepare(Samples.review())).sessionInput.prompt
      #expect(ContinuousClock.now - start > .seconds(1.9), "it has waited for them")
      #expect(
        prompt.contains("It could not be read whether one exists") == (route == .githubIssueComments)
          && prompt.contains("could not be read just now") == (route == .githubReviewComments))
      #expect(preparer.circuits.all.allSatisfy { $0.state == .closed })
    }
  }

  @Test("a rate limit puts the review off until the reset, also when only the comments meet it")
  func rateLimit() async throws {
    try await FakePlatformHarness.run { harness in
      let now = Date(timeIntervalSince1970: 1_700_000_000)
      for route in [FakeRoute.githubPull, .githubReviewComments] {
        harness.fakePlatform.clear()
        harness.fakePlatform.add(.rateLimit(route: route, resetAt: 1_700_000_077))
        let preparer = try harness.preparer(now: { now })
        let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(Samples.review()) }
        #expect(error?.waits(for: .seconds(77)) == true, "\(String(describing: error))")
      }
    }
  }

  @Test(
    "GitHub's answer about the pull request decides",
    arguments: [
      (FakeFault(route: .githubPull, status: 404), "pullRequestMissing"),
      (FakeFault(route: .githubPull, status: 401), "platformRefused"),
      (FakeFault(route: .githubPull, status: 403), "platformRefused"),
      (FakeFault(route: .githubPull, status: 451), "platformRefused"),
      (FakeFault(route: .githubPull, status: 302, headers: ["location": "http://localhost:1/x"]), "transient"),
      (FakeFault(status: 302, headers: ["location": "http://localhost:1/login"]), "outage"),
      (FakeFault(status: 404, body: "default backend - 404"), "outage"),
      (FakeFault(status: 403, body: "<html>blocked by the proxy</html>"), "outage"),
      (FakeFault(body: "<html>maintenance</html>"), "outage"),
      (FakeFault(route: .githubPull, status: 429, headers: ["retry-after": "5"]), "transient"),
      (FakeFault(route: .githubPull, status: 503), "transient"), (FakeFault(status: 503), "outage"),
      (FakeFault(cut: true), "outage"),
      (FakeFault(route: .githubPull, body: "not JSON"), "transient"),
      (FakeFault(route: .githubPull, cut: true), "transient"),
    ])
  func answers(_ fault: FakeFault, _ meaning: String) async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.add(fault)
      let preparer = try harness.preparer()
      let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(Samples.review()) }
      #expect(error.map { String(describing: $0).contains(meaning) } == true, "\(String(describing: error))")
    }
  }

  @Test("a host that hangs is given up at the deadline; one that refuses connections is an outage")
  func outage() async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.add(FakeFault(route: .githubPull, hang: true))
      let preparer = try harness.preparer(timeout: .milliseconds(300))
      let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(Samples.review()) }
      #expect(error.map { String(describing: $0).contains("did not answer") } == true, "\(String(describing: error))")
      let access = try PlatformAccess(
        settings: PlatformSettings(githubAPIURL: "http://127.0.0.1:1", encryptionKeys: [Samples.key]),
        httpClient: harness.client, integrationTokens: nil, logger: FakePlatformHarness.logger)
      let other = PlatformPreparer(access: access, logger: FakePlatformHarness.logger)
      let refused = await #expect(throws: PreparationError.self) { try await other.prepare(Samples.review()) }
      guard case .outage("127.0.0.1:1", _, _)? = refused else {
        Issue.record("\(String(describing: refused))")
        return
      }
    }
  }

  @Test("a renamed repository is followed, comments included, and the agent gets the new name")
  func renamed() async throws {
    try await FakePlatformHarness.run { harness in
      let comments = (1...201).map { line in
        #"{"path":"a.swift","body":"finding \#(line)","line":\#(line),"position":1}"#
      }
      harness.fakePlatform.setList(comments, route: .githubReviewComments, of: "ReDASers/PhishBench", number: 5)
      let review = Samples.review(
        repository: "ReDASers/Phishing-Detection", number: 5, integration: try Samples.integration(token: "ghp_stored"))
      let payload = try await harness.preparer().prepare(review)
      let input = try Self.request(payload).sessionInput
      #expect(input.githubRepo == "ReDASers/PhishBench" && input.githubToken == "ghp_stored")
      #expect(!input.prompt.contains("could not be read") && input.prompt.contains("201 still apply"))
      // The redirect and three pages, which link to one another by the repository's number.
      #expect(harness.fakePlatform.callCounts[.githubReviewComments] == 4)
    }
  }

  @Test("fork, draft and head come from GitHub")
  func fields() async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.setFields(
        ["draft": "true", "head.repo": "null", "head.sha": #""feed00000000""#, "user": "null", "body": "null"],
        of: "acme/shop", number: 17)
      let payload = try await harness.preparer().prepare(Samples.review())
      let input = try Self.request(payload).sessionInput
      #expect(payload.headSha == "feed00000000" && input.upstreamBranch == "refs/pull/17/head")
      #expect(input.prompt.contains("It is a draft") && input.prompt.contains("comes from a fork"))
      #expect(input.prompt.contains("There is a newer commit, `feed00000000`"))
    }
  }

  @Test("what GitHub's answer lacks is taken from the review", arguments: ["null", "{}"])
  func lackingFields(branch: String) async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.setFields(
        ["title": "null", "user": "null", "base": branch, "head": branch], of: "acme/shop", number: 17)
      let review = Samples.review()
      let payload = try await harness.preparer().prepare(review)
      let input = try Self.request(payload).sessionInput
      #expect(payload.headSha == review.headSha && input.upstreamBranch == review.headRef)
      #expect(input.prompt.contains(review.prTitle) && !input.prompt.contains("comes from a fork"))
    }
  }

  @Test("a stored token is sent, and reaches the agent only in its own field")
  func storedToken() async throws {
    try await FakePlatformHarness.run { harness in
      let review = Samples.review(integration: try Samples.integration(token: "ghp_stored"))
      let input = try Self.request(try await harness.preparer().prepare(review)).sessionInput
      #expect(input.githubToken == "ghp_stored" && !input.prompt.contains("ghp_stored"))
      #expect(harness.fakePlatform.callCounts[.githubInstallationToken] == nil)
      var other = review
      other.integration?.tokenCiphertext?[20] ^= 1
      let preparer = try harness.preparer()
      let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(other) }
      #expect(error.map { String(describing: $0).contains("BATON_ENCRYPTION_KEY") } == true)
    }
  }

  @Test("one installation token serves all reviews at once, until it is too old for the review's time")
  func installationToken() async throws {
    try await FakePlatformHarness.run { harness in
      let clock = TestWallClock()
      let preparer = try harness.preparer(app: Self.app, now: { clock.now })
      let review = Samples.review(integration: Self.installation)
      let tokens = try await withThrowingTaskGroup(of: String?.self) { group in
        for _ in 0..<20 {
          group.addTask { try Self.request(try await preparer.prepare(review)).sessionInput.githubToken }
        }
        return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
      }
      #expect(tokens.count == 1 && tokens.first??.hasPrefix("ghs_") == true)
      #expect(harness.fakePlatform.callCounts[.githubInstallationToken] == 1)
      // 45 of the 60 minutes later it is good for ten minutes of review, but not for thirty.
      clock.advance(by: 45 * 60)
      _ = try await preparer.prepare(review)
      #expect(harness.fakePlatform.callCounts[.githubInstallationToken] == 1)
      var long = review
      long.configuration = #"{"max_review_time_minutes":30}"#
      _ = try await preparer.prepare(long)
      #expect(harness.fakePlatform.callCounts[.githubInstallationToken] == 2)
    }
  }

  @Test("a kept token that GitHub no longer takes is replaced once")
  func withdrawnToken() async throws {
    try await FakePlatformHarness.run { harness in
      let preparer = try harness.preparer(app: Self.app)
      let review = Samples.review(integration: Self.installation)
      harness.fakePlatform.add(FakeFault(route: .githubPull, times: 1, status: 401))
      _ = try await preparer.prepare(review)
      #expect(harness.fakePlatform.callCounts[.githubInstallationToken] == 2)
      harness.fakePlatform.add(FakeFault(route: .githubPull, status: 401))
      let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(review) }
      guard case .permanent(.platformRefused, _)? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
    }
  }

  @Test("an installation that is gone is revoked; without an app no token is sent, and a refusal says so")
  func noToken() async throws {
    try await FakePlatformHarness.run { harness in
      let gone = Samples.review(integration: Integration(id: Samples.integrationID, installationId: "40432121"))
      let preparer = try harness.preparer(app: Self.app)
      _ = try await preparer.prepare(Samples.review(integration: Self.installation))
      let revoked = await #expect(throws: PreparationError.self) { try await preparer.prepare(gone) }
      guard case .permanent(.integrationRevoked, _)? = revoked else {
        Issue.record("\(String(describing: revoked))")
        return
      }
      harness.fakePlatform.add(FakeFault(route: .githubPull, times: 1, status: 404))
      let anonymous = try harness.preparer()
      let missing = await #expect(throws: PreparationError.self) { try await anonymous.prepare(gone) }
      #expect(missing.map { String(describing: $0).contains("BATON_GITHUB_APP_ID") } == true)
    }
  }

  @Test("an app that has got no token yet may be another one: a review of an unknown installation waits")
  func otherApp() async throws {
    try await FakePlatformHarness.run { harness in
      let unknown = Samples.review(integration: Integration(id: Samples.integrationID, installationId: "40432121"))
      let preparer = try harness.preparer(app: Self.app)
      for _ in 0..<2 {
        let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(unknown) }
        if case .permanent? = error { Issue.record("\(String(describing: error))") }
        #expect(error.map { String(describing: $0).contains("BATON_GITHUB_APP_ID") } == true)
      }
    }
  }

  @Test("five failures in a row open the circuit: later reviews do not call")
  func circuit() async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.add(FakeFault(status: 502))
      let preparer = try harness.preparer()
      for _ in 0..<5 { await #expect(throws: PreparationError.self) { try await preparer.prepare(Samples.review()) } }
      let before = harness.fakePlatform.callCounts[.githubPull]
      let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(Samples.review()) }
      guard case .outage("127.0.0.1:\(harness.port)", _, .some)? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(harness.fakePlatform.callCounts[.githubPull] == before)
      #expect(preparer.circuits.all.map(\.name) == ["127.0.0.1:\(harness.port)"])
    }
  }

  @Test("a cancelled review ends its calls and counts as no failure")
  func cancelled() async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.add(FakeFault(hang: true))
      let preparer = try harness.preparer(timeout: .seconds(60))
      let task = Task { try await preparer.prepare(Samples.review()) }
      while (harness.fakePlatform.callCounts[.githubPull] ?? 0) == 0 { try await Task.sleep(for: .milliseconds(5)) }
      task.cancel()
      await #expect(throws: PreparationError.transient(message: "Preparing was cancelled.", retryAfter: nil)) {
        try await task.value
      }
      #expect(preparer.circuits.all.allSatisfy { $0.state == .closed })
    }
  }
}
