import Reviews
import Testing

@testable import baton

@Suite("The sandbox's program")
struct SandboxProgramTests {
  @Test("is looked for next to baton, and the message of a missing one says how to get it")
  func missing() throws {
    let failure = try #require(throws: Failure.self) { try SandboxProgram(nextTo: "/nonexistent/baton") }
    #expect(failure.status == .failed)
    #expect(failure.description.contains("/nonexistent/baton-sandbox is missing"))
    #expect(failure.description.contains("swift build --product baton-sandbox"))
  }

  @Test("plays open pull requests, each of which can be submitted for any owner")
  func pullRequests() async throws {
    // A build puts it into one folder with the tests' own program.
    let pullRequests = try await SandboxProgram().pullRequests()
    #expect(pullRequests.count >= 10)
    let run = SandboxRun(pullRequests: pullRequests, count: 30, ownerCount: 3, waits: false, json: false)
    let reviews = run.makeReviews()
    #expect(reviews.count == 30 && Set(reviews.map(\.owner)).count == 3)
    #expect(Set(reviews.map { "\($0.owner) \($0.repoFullName) \($0.prNumber) \($0.headSha)" }).count == 30)
  }
}
