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
      let isOurs = code == .superseded || code == .pullRequestClosed
      #expect((decide(.cancelled, code) == .restart(Self.id)) == isOurs, "\(code)")
    }
    for status in [ReviewStatus.pending, .queued, .running, .completed] {
      guard case .keep(Self.id, _) = decide(status) else { return #expect(Bool(false), "\(status)") }
    }
  }
}
