import Foundation
import Primitives
import Reviews
import Sandbox
import Testing
import WorkerAPI

@testable import Platforms

@Suite("Preparing from GitLab")
struct GitLabPreparationTests {
  private static func review(
    _ harness: FakePlatformHarness, repository: String = "gitlab-org/gitlab-ee", number: Int = 14656,
    projectID: Int64? = 278_964,
    instance: String? = nil
  ) throws -> LeasedReview {
    Samples.review(
      platform: .gitlab, repository: repository, number: number, projectID: projectID, headRef: "delete-designs-v2",
      integration: try Samples.integration(token: "glpat-stored", instance: instance ?? harness.address))
  }

  private static func input(_ payload: PreparedPayload) throws -> SessionInput {
    try JSONDecoder().decode(StartRequest.self, from: Data(payload.body)).sessionInput
  }

  @Test("the recorded merge request is prepared, by number or by path")
  func recorded() async throws {
    try await FakePlatformHarness.run { harness in
      let preparer = try harness.preparer()
      for projectID in [278_964, nil] as [Int64?] {
        let payload = try await preparer.prepare(try Self.review(harness, projectID: projectID))
        let input = try Self.input(payload)
        #expect(payload.headSha == "8e0b45049b6253b8984cde9241830d2851168142")
        #expect(input.gitUrl == "\(harness.address)/gitlab-org/gitlab-ee.git" && input.gitToken == "glpat-stored")
        #expect(input.upstreamBranch == "delete-designs-v2" && input.platform == .gitlab)
        #expect(input.prompt.contains("Add deletion support for designs"))
        #expect(input.prompt.contains("position[base_sha]=dd692733bb84bc3e9e862e66c099daec2fa00c83"))
      }
    }
  }

  @Test("only a note of the token's own user is the summary")
  func summary() async throws {
    try await FakePlatformHarness.run { harness in
      func note(_ id: Int, user: Int, updated: String) -> String {
        #"{"id":\#(id),"body":"<!-- baton-review -->","author":{"id":\#(user)},"updated_at":"\#(updated)","system":false}"#
      }
      harness.fakePlatform.setList(
        [
          note(1, user: 2453, updated: "2026-01-01"), note(2, user: 2453, updated: "2026-02-01"),
          note(3, user: 9, updated: "2026-03-01"),
        ],
        route: .gitlabNotes, of: "278964", number: 14656)
      let position = #"{"new_path":"a.rb","new_line":7}"#
      harness.fakePlatform.setList(
        [
          #"{"notes":[{"id":5,"body":"Leaks","position":\#(position),"resolved":false},{"id":6,"body":"Done","position":\#(position),"resolved":true}]}"#,
          #"{"notes":[{"id":7,"body":"chatter"}]}"#,
        ], route: .gitlabDiscussions, of: "278964", number: 14656)
      let prompt = try Self.input(try await harness.preparer().prepare(try Self.review(harness))).prompt
      #expect(prompt.contains("notes/2 --method PUT"))
      #expect(prompt.contains("1 still apply") && prompt.contains("| a.rb | 7 | Leaks |"))
    }
  }

  @Test(
    "notes that GitLab is slow to give do not use up the review's time: it goes on without them",
    .timeLimit(.minutes(2)),
    arguments: [FakeRoute.gitlabNotes, .gitlabDiscussions])
  func slowNotes(_ route: FakeRoute) async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.add(FakeFault(route: route, hang: true))
      let preparer = try harness.preparer(timeout: .seconds(600), timeMax: .seconds(4))
      let prompt = try Self.input(try await preparer.prepare(try Self.review(harness))).prompt
      #expect(
        prompt.contains("It could not be read whether one exists") == (route == .gitlabNotes)
          && prompt.contains("could not be read just now") == (route == .gitlabDiscussions))
    }
  }

  @Test("a host that is not allowed, or one without TLS, is never called")
  func hosts() async throws {
    try await FakePlatformHarness.run { harness in
      let preparer = try harness.preparer()
      for instance in ["https://evil.example", "http://gitlab.com", "nonsense", "http://localhost:\(harness.port)"] {
        let review = try Self.review(harness, instance: instance)
        #expect(preparer.targets(of: review).isEmpty)
        let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(review) }
        switch error {
        case .permanent(.platformRefused, _)?: #expect(instance == "nonsense")
        // Another consumer may call it.
        case .transient(let message, .seconds(60)?): #expect(message.contains("BATON_GITLAB_HOSTS"))
        default: Issue.record("\(instance): \(String(describing: error))")
        }
      }
      #expect(harness.fakePlatform.callCounts.isEmpty)
    }
  }

  @Test("a merged request is closed, a missing one missing, and a limit waits", arguments: ["merged", "closed"])
  func states(_ state: String) async throws {
    try await FakePlatformHarness.run { harness in
      let preparer = try harness.preparer()
      harness.fakePlatform.setFields(["state": "\"\(state)\""], of: "278964", number: 14656)
      let closed = await #expect(throws: PreparationError.self) { try await preparer.prepare(try Self.review(harness)) }
      #expect(closed == .permanent(.pullRequestClosed, message: "gitlab-org/gitlab-ee!14656 is \(state)."))
      harness.fakePlatform.add(FakeFault(route: .gitlabMergeRequest, times: 1, status: 404))
      let missing = await #expect(throws: PreparationError.self) {
        try await preparer.prepare(try Self.review(harness))
      }
      guard case .permanent(.pullRequestMissing, _)? = missing else {
        Issue.record("\(String(describing: missing))")
        return
      }
      harness.fakePlatform.add(
        FakeFault(route: .gitlabMergeRequest, times: 1, status: 429, headers: ["retry-after": "8"]))
      let limited = await #expect(throws: PreparationError.self) {
        try await preparer.prepare(try Self.review(harness))
      }
      #expect(limited?.waits(for: .seconds(8)) == true)
    }
  }

  @Test("without an integration the merge request's own host is asked, without a token")
  func anonymous() async throws {
    try await FakePlatformHarness.run { harness in
      let review = Samples.review(
        platform: .gitlab, repository: "acme/tools/shop", number: 3,
        url: "\(harness.address)/acme/tools/shop/-/merge_requests/3")
      let input = try Self.input(try await harness.preparer().prepare(review))
      #expect(input.gitToken == nil && input.gitUrl == "\(harness.address)/acme/tools/shop.git")
    }
  }
}
