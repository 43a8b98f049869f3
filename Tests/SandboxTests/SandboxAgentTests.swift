import FoundationEssentials
import Logging
import Primitives
import Reviews
import Testing
import WorkerAPI

@testable import Sandbox

@Suite("Agent of the sandbox")
struct SandboxAgentTests {
  @Test("added lines are read with their numbers in the new file")
  func diff() {
    let patch =
      "@@ -3,3 +10,4 @@ func f()\n kept\n-gone\n+new\n+newer\n\\ No newline at end of file\n@@ -90 +100 @@\n+last"
    let diff = FileDiff(path: "a.swift", patch: patch)
    #expect(diff.added.map(\.line) == [11, 12, 100])
    #expect(diff.added.map(\.text) == ["new", "newer", "last"])
    #expect(diff.isShown && !FileDiff(path: "b", patch: nil).isShown)
    #expect(FileDiff(path: "c", patch: "@@ nonsense").added.isEmpty)
  }

  @Test("one finding a file and rule, the gravest first")
  func findings() {
    let files = [
      FileDiff(path: "a.py", patch: "@@ -1 +1,4 @@\n+x = 1  # TODO\n+y = 2  # TODO\n+except:\n+  pass"),
      FileDiff(path: "b.js", patch: "@@ -1 +7 @@\n+eval(input)"),
    ]
    let findings = Rule.findings(in: files)
    #expect(findings.map(\.severity) == [.critical, .warning, .suggestion])
    #expect(findings.map(\.path) == ["b.js", "a.py", "a.py"])
    #expect(findings.map(\.line) == [7, 3, 1])
    #expect(findings.last?.message == "SUGGESTION a.py:1: something is left to do (and 1 more in this file)")
  }

  @Test("the gate fails from its threshold on")
  func gate() {
    let warning = Finding(severity: .warning, path: "a", line: 1, lineCount: 1, text: "t")
    #expect(SandboxAgent.gate(nil, [warning]) == nil && SandboxAgent.gate("off", [warning]) == nil)
    #expect(SandboxAgent.gate("all", [warning]) == .fail && SandboxAgent.gate("warning", [warning]) == .fail)
    #expect(SandboxAgent.gate("critical", [warning]) == .pass && SandboxAgent.gate("all", []) == .pass)
  }

  @Test("the pull request is read from the instructions, not from what people wrote")
  func place() throws {
    let prompt = "Title: see repos/acme/shop/pulls/1\n`gh api repos/acme/shop/pulls/17/reviews --method POST`"
    #expect(PullRequestAddress(start(prompt))?.filesPath == "/repos/acme/shop/pulls/17/files")
    #expect(PullRequestAddress(start("nothing")) == nil)
    var gitlab = start("glab api projects/77/merge_requests/5/discussions")
    gitlab.sessionInput.platform = .gitlab
    #expect(PullRequestAddress(gitlab)?.filesPath == "/api/v4/projects/77/merge_requests/5/diffs")
  }

  @Test("it finds something in the recorded pull requests, and says so in the reference worker's form")
  func review() async throws {
    let (ports, bound) = AsyncStream.makeStream(of: Int.self)
    let fakePlatform = FakePlatform(logger: Logger(label: "stand-in") { _ in SwiftLogNoOpLogHandler() }) {
      bound.yield($0)
    }
    let serving = Task { try await fakePlatform.run() }
    defer { serving.cancel() }
    let port = try #require(await ports.first { _ in true })
    var lines: [String] = []
    let agent = SandboxAgent(api: "http://127.0.0.1:\(port)")
    try await agent.review(start("repos/acme/shop/pulls/17/reviews")) { lines.append($0) }
    let values = try lines.map { try JSONDecoder().decode(JSONValue.self, from: Data($0.utf8)) }
    #expect(values.first?["sessionId"]?.string?.hasPrefix("sandbox-") == true)
    #expect(values.count { $0["event"]?.string == "finding" } > 0)
    #expect(
      values.contains { $0["event"]?.string == "summary" && $0["message"]?.string?.contains("findings:") == true })
    #expect(values.last?["gateResult"]?.string == "fail")
    await #expect(throws: SandboxAgent.Fault.noPullRequest) { try await agent.review(start("none")) { _ in } }
  }

  private func start(_ prompt: String) -> StartRequest {
    StartRequest(
      reviewId: UUID(), attempt: 1, authToken: "t",
      sessionInput: SessionInput(
        githubRepo: "acme/shop", prompt: prompt, model: "m", platform: .github, upstreamBranch: "b",
        gateThreshold: "all"), owner: RunOwner(type: .org, id: "acme"), maxReviewTimeMinutes: 5)
  }
}
