import Primitives
import Reviews
import Testing

@testable import baton

@Suite("Dispatched exactly once")
struct DispatchCheckTests {
  private static func path(_ statuses: [ReviewStatus]) -> [ReviewTransition] {
    zip([nil] + statuses.map { $0 }, statuses).map { from, to in
      ReviewTransition(at: .afterSubmission(.zero), fromStatus: from, toStatus: to, reason: nil, actor: nil)
    }
  }

  private static let completed = Review.fixture {
    $0.status = .completed
    $0.dispatchedAt = .afterSubmission(.milliseconds(20))
    $0.completedAt = .afterSubmission(.milliseconds(80))
  }

  @Test("one straight way to completion has no fault, with or without running in between")
  func good() {
    #expect(DispatchCheck.faults(Self.completed, Self.path([.pending, .queued, .running, .completed])).isEmpty)
    #expect(DispatchCheck.faults(Self.completed, Self.path([.pending, .queued, .completed])).isEmpty)
  }

  @Test("whatever else has happened is named")
  func bad() {
    let straight = Self.path([.pending, .queued, .running, .completed])
    func faults(_ change: (inout Review) -> Void) -> [String] {
      var review = Self.completed
      change(&review)
      return DispatchCheck.faults(review, straight)
    }
    #expect(faults { $0.attempt = 2 } == ["attempt 2"])
    #expect(faults { $0.dispatchFailures = 1 } == ["1 dispatch failures"])
    #expect(faults { $0.republishCount = 3 } == ["republished 3 times"])
    #expect(faults { $0.dispatchedAt = nil } == ["no dispatch recorded"])
    let twice = Self.path([.pending, .queued, .pending, .queued, .running, .completed])
    #expect(DispatchCheck.faults(Self.completed, twice) == ["claimed 2 times"])
    #expect(
      DispatchCheck.faults(Review.fixture(), Self.path([.pending])) == [
        "pending", "claimed 0 times", "started 0 times",
      ])
  }

  @Test("the report shows each review's way and counts the good ones")
  func report() {
    let claimed = Review.fixture(2) { $0.claimedAt = .afterSubmission(.milliseconds(7)) }
    let report = SandboxReport(
      lines: [.init(review: Self.completed, faults: []), .init(review: claimed, faults: ["queued"])],
      elapsed: .milliseconds(80))
    #expect(!report.isGood)
    let text = report.text(width: nil, usesColor: false)
    #expect(text[1].hasPrefix("org:acme  acme/shop#1") && text[1].hasSuffix("dispatched once"))
    #expect(text[1].contains("+20 ms") && text[1].contains("+80 ms"))
    #expect(text[2].contains("+7 ms") && text[2].hasSuffix("queued"))
    #expect(text[4] == "2 submitted, 1 completed, 1 dispatched exactly once, in 80 ms")
    #expect(text.last == "1 did not go as they should")
  }

  @Test("each run's commits are new, and look like commits")
  func commits() throws {
    let recorded = "8a4f306d4b223682dd19410d4a9150636ebe4206"
    let first = SandboxRun.sha(recorded, suffix: "deadbeef", index: 0)
    let last = SandboxRun.sha(recorded, suffix: "deadbeef", index: 99_999)
    #expect(first.count == 40 && last.count == 40)
    #expect(first.hasPrefix("8a4f306d") && first.hasSuffix("deadbeef00000"))
    #expect(last.hasSuffix("deadbeef1869f"))
    #expect(SandboxRun.sha("short", suffix: "deadbeef", index: 1) == "shortdeadbeef00001")
  }
}
