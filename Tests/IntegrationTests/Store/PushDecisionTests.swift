import Foundation
import Primitives
import Reviews
import Testing

@testable import ReviewStore

@Suite("What a push does to its commit's review")
struct PushDecisionTests {
  private static let id = UUID()

  private func decide(
    at time: Int64 = 5, newest: Int64? = 5, isReplaced: Bool = false, _ status: ReviewStatus?, _ code: ErrorCode? = nil
  ) -> PushDecision {
    PushDecision(
      updatedAt: Timestamp(microseconds: time), newest: newest.map { Timestamp(microseconds: $0) },
      isReplaced: isReplaced,
      same: status.map { RelatedReview(id: Self.id, status: $0, errorCode: code?.rawValue, isSameCommit: true) })
  }

  @Test("an older event, and one that was replaced in the same second, does nothing, whatever the review is at")
  func outdated() {
    for status in ReviewStatus.allCases + [nil] {
      #expect(decide(at: 4, status) == .outdated)
      #expect(decide(isReplaced: true, status) == .outdated)
      #expect(decide(status) != .outdated)
      #expect(decide(newest: nil, status) != .outdated)
    }
  }

  @Test("the event that a failed review has had starts it no second time; a newer one does")
  func replayed() {
    func decide(at time: Int64, after seen: Int64) -> PushDecision {
      PushDecision(
        updatedAt: Timestamp(microseconds: time), newest: nil, isReplaced: false,
        same: RelatedReview(
          id: Self.id, status: .failed, errorCode: nil, isSameCommit: true, updatedAt: Timestamp(microseconds: seen)))
    }
    #expect(decide(at: 6, after: 5) == .restart(Self.id))
    for time: Int64 in [4, 5] {
      guard case .keep(Self.id, _) = decide(at: time, after: 5) else { return #expect(Bool(false), "\(time)") }
    }
  }

  @Test("a failed review starts again; a cancelled one if it was not a person who did it; no other does")
  func restart() {
    #expect(decide(nil) == .insert)
    for code in ErrorCode.allCases {
      #expect(decide(.failed, code) == .restart(Self.id))
      let isOurs = [.superseded, .pullRequestClosed, .repositoryRemoved].contains(code)
      #expect((decide(.cancelled, code) == .restart(Self.id)) == isOurs, "\(code)")
    }
    for status in [ReviewStatus.pending, .queued, .running, .completed] {
      guard case .keep(Self.id, _) = decide(status) else { return #expect(Bool(false), "\(status)") }
    }
  }

  @Test("another base makes another attempt, if the event is newer or says so; what a person has cancelled stays so")
  func retargeted() {
    func decide(
      _ status: ReviewStatus, _ cause: PullRequestPush.Cause, at time: Int64 = 6, after seen: Int64? = 5,
      base: String = "release", _ code: ErrorCode? = nil
    ) -> PushDecision {
      PushDecision(
        updatedAt: Timestamp(microseconds: time), newest: nil, isReplaced: false,
        same: RelatedReview(
          id: Self.id, status: status, errorCode: code?.rawValue, isSameCommit: true,
          updatedAt: seen.map { Timestamp(microseconds: $0) }, baseRef: "main"),
        cause: cause, baseRef: base)
    }
    for cause in [PullRequestPush.Cause.base, .change, .commit] {
      #expect(decide(.pending, cause) == .rebase(Self.id))
      for status in [ReviewStatus.queued, .running, .completed] { #expect(decide(status, cause) == .retarget(Self.id)) }
      #expect(decide(.failed, cause) == .restart(Self.id))
      guard case .keep = decide(.cancelled, cause, .cancelledByUser) else { return #expect(Bool(false)) }
      // The same base, however it is written; and a review that an application has made.
      for base in ["main", "refs/heads/main"] {
        guard case .keep = decide(.completed, cause, base: base) else { return #expect(Bool(false), "\(base)") }
      }
      let foreign = decide(.completed, cause, after: nil)
      #expect((foreign == .retarget(Self.id)) == (cause == .base))
    }
    guard case .keep = decide(.failed, .change, base: "main") else { return #expect(Bool(false)) }
  }

  @Test("the way from commit to commit decides within one second, and in a circle the order of receipt")
  func chain() {
    func step(_ from: String, _ to: String?, later: Bool = false) -> PushChain.Step {
      PushChain.Step(from: from, to: to, isLater: later)
    }
    #expect(!PushChain.isReplaced("a", by: []))
    #expect(PushChain.isReplaced("a", by: [step("a", "b")]))
    #expect(PushChain.isReplaced("a", by: [step("a", nil)]))
    #expect(PushChain.isReplaced("a", by: [step("a", "b"), step("b", "c")]))
    #expect(!PushChain.isReplaced("c", by: [step("a", "b"), step("b", "c")]))
    #expect(!PushChain.isReplaced("a", by: [step("a", "b"), step("b", "a")]))
    #expect(!PushChain.isReplaced("a", by: [step("a", "b"), step("b", "c"), step("c", "a")]))
    #expect(PushChain.isReplaced("a", by: [step("a", "b", later: true), step("b", "a")]))
    // A circle that does not lead back to it.
    #expect(PushChain.isReplaced("a", by: [step("a", "b"), step("b", "c"), step("c", "b")]))
  }
}
