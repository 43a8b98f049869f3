import Foundation
import Primitives
import Reviews
import Testing
import WorkerAPI

@testable import Platforms

@Suite("Payload builder")
struct PayloadBuilderTests {
  private let now = Date(timeIntervalSince1970: 1_700_000_000)

  private func builder(byteCountMax: Int = StartRequest.byteCountMax) -> PayloadBuilder {
    PayloadBuilder(authKey: AuthKey(encryptionKey: Samples.key), byteCountMax: byteCountMax, now: { now })
  }

  private func request(
    _ review: LeasedReview, _ facts: PullRequestFacts = Samples.facts(), token: String? = nil,
    configuration: String = "{}", agentVersion: String? = nil
  ) throws -> StartRequest {
    let collected = CollectedPullRequest(facts: facts, token: token.map { Secret($0) })
    let payload = try builder().payload(
      review, collected, ReviewConfiguration(json: configuration), agentVersion: agentVersion)
    return try JSONDecoder().decode(StartRequest.self, from: Data(payload.body))
  }

  @Test("an empty configuration gives the contract's defaults")
  func defaults() throws {
    let request = try request(Samples.review())
    #expect(request.reviewId == Samples.reviewID && request.attempt == 2)
    #expect(request.sessionInput.githubRepo == "acme/shop" && request.sessionInput.gitUrl == nil)
    #expect(request.sessionInput.mode == "code" && request.sessionInput.model == "anthropic/claude-sonnet-4.6")
    #expect(request.sessionInput.platform == .github && request.sessionInput.upstreamBranch == "round-prices")
    #expect(request.sessionInput.githubToken == nil && request.sessionInput.gitToken == nil)
    #expect(request.sessionInput.variant == nil && request.sessionInput.gateThreshold == nil)
    #expect(request.owner == RunOwner(type: .org, id: "acme", userId: "u-1"))
    #expect(request.agentVersion == nil && request.previousCloudAgentSessionId == nil)
    #expect(request.maxReviewTimeMinutes == 10)
    let (id, attempt) = try #require(
      AuthToken.verify(request.authToken, keys: [AuthKey(encryptionKey: Samples.key)], now: now))
    #expect(id == Samples.reviewID && attempt == 2)
  }

  @Test("every field of the configuration arrives")
  func configured() throws {
    let configuration = """
      {"model_slug":"m/1","thinking_effort":"high","max_review_time_minutes":25,"gate_threshold":"critical"}
      """
    let request = try request(
      Samples.review(previousSession: "agent_9"), token: "t0k", configuration: configuration, agentVersion: "v2")
    #expect(request.sessionInput.model == "m/1" && request.sessionInput.variant == "high")
    #expect(request.sessionInput.gateThreshold == "critical" && request.agentVersion == "v2")
    #expect(request.maxReviewTimeMinutes == 25 && request.previousCloudAgentSessionId == "agent_9")
    #expect(request.sessionInput.githubToken == "t0k" && !request.sessionInput.prompt.contains("t0k"))
  }

  @Test("GitLab is cloned by address, with its own token field")
  func gitlab() throws {
    var facts = Samples.facts()
    facts.cloneURL = "https://gitlab.com/acme/shop.git"
    let request = try request(Samples.review(platform: .gitlab), facts, token: "glpat-x")
    #expect(request.sessionInput.gitUrl == "https://gitlab.com/acme/shop.git" && request.sessionInput.githubRepo == nil)
    #expect(request.sessionInput.gitToken == "glpat-x" && request.sessionInput.githubToken == nil)
  }

  @Test("a fork's commits are fetched by the platform's own reference")
  func forks() {
    var facts = Samples.facts()
    #expect(PayloadBuilder.upstreamBranch(Samples.review(), facts) == "round-prices")
    facts.isFork = true
    #expect(PayloadBuilder.upstreamBranch(Samples.review(), facts) == "refs/pull/17/head")
    #expect(PayloadBuilder.upstreamBranch(Samples.review(platform: .gitlab), facts) == "refs/merge-requests/17/head")
    facts.headRef = "refs/pull/17/head"
    #expect(PayloadBuilder.upstreamBranch(Samples.review(), facts) == "refs/pull/17/head")
  }

  @Test("a payload beyond the limit is refused for good")
  func tooLarge() throws {
    let collected = CollectedPullRequest(facts: Samples.facts(), token: nil)
    let body = try builder().payload(Samples.review(), collected, ReviewConfiguration(), agentVersion: nil).body
    #expect(throws: Never.self) {
      try builder(byteCountMax: body.count).payload(
        Samples.review(), collected, ReviewConfiguration(), agentVersion: nil)
    }
    let error = #expect(throws: PreparationError.self) {
      try builder(byteCountMax: body.count - 1).payload(
        Samples.review(), collected, ReviewConfiguration(), agentVersion: nil)
    }
    guard case .permanent(.payloadTooLarge, _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }
}
