import Foundation
import Primitives
import ReviewStore
import Reviews
import Testing

@testable import baton

@Suite("A review on one page")
struct ReviewPageTextTests {
  private static func time(_ minute: Int) -> Timestamp { .afterSubmission(.seconds(60 * minute)) }

  /// With a value in every field, each another one.
  private static let whole = Review.fixture(3) { review in
    (review.userId, review.platformIntegrationId) = ("user-value", UUID())
    (review.platformProjectId, review.platformRepositoryId, review.checkRunId) = (70_001, 70_002, 70_003)
    (review.statusReason, review.errorCode, review.errorMessage) = ("reason-value", "code-value", "message-value")
    (review.leaseOwner, review.sessionId, review.cliSessionId) = ("lease-value", "session-value", "cli-value")
    (review.agentVersion, review.previousSessionId, review.model) = ("agent-value", "previous-value", "model-value")
    (review.totalTokensIn, review.totalTokensOut, review.totalCostMicrousd) = (80_001, 80_002, 80_003)
    (review.priority, review.attempt, review.republishCount) = (901, 902, 903)
    (review.leaseLosses, review.dispatchFailures, review.gateResult) = (904, 905, "gate-value")
    (review.claimedAt, review.publishedAt, review.leaseExpiresAt) = (time(1), time(2), time(3))
    (review.preparedAt, review.dispatchedAt, review.startedAt) = (time(4), time(5), time(6))
    (review.completedAt, review.updatedAt, review.prUpdatedAt) = (time(7), time(8), time(9))
    review.availableAt = time(10)
  }

  /// What a value is on the page.
  private static func text(of value: Any) -> String? {
    switch value {
    case let time as Timestamp: Times.clock(time)
    case let id as UUID: id.lowercase
    case let status as ReviewStatus: status.rawValue
    case let platform as Platform: platform.rawValue
    case let kind as Owner.Kind: kind.rawValue
    case let text as String: text
    case let number as any BinaryInteger: "\(number)"
    default: nil
    }
  }

  @Test("every field of a review is shown")
  func everyField() throws {
    let page = ReviewPageText(review: Self.whole, transitions: [], now: Self.time(60))
    let shown = page.lines(width: nil, usesColor: false).joined(separator: "\n")
    for field in Mirror(reflecting: Self.whole).children {
      let name = field.label ?? ""
      let mirror = Mirror(reflecting: field.value)
      let value: Any = mirror.displayStyle == .optional ? mirror.children.first?.value ?? () : field.value
      guard let text = Self.text(of: value) else {
        Issue.record("\(name) has no value in this test")
        continue
      }
      let expected = name == "totalCostMicrousd" ? ReviewPageText.dollars(microdollars: 80_003) : text
      #expect(shown.contains(expected), "\(name): \(expected)")
    }
  }

  @Test("feedback that waits, or was given up, is shown with its error")
  func feedback() {
    let page = ReviewPageText(
      review: .fixture(), transitions: [],
      undeliveredFeedback: [
        UndeliveredFeedback(
          subject: .gate, dueSince: Self.time(1), tries: 7, lastError: "GitHub answered 403", nextTry: nil,
          givenUpAt: Self.time(30)),
        UndeliveredFeedback(
          subject: .eyes, dueSince: Self.time(2), tries: 1, lastError: "down", nextTry: Self.time(61), givenUpAt: nil),
      ], now: Self.time(60))
    let lines = page.lines(width: nil, usesColor: false).filter { $0.contains("not delivered") }
    #expect(lines.count == 2)
    #expect(lines.first?.contains("given up") == true && lines.first?.hasSuffix("GitHub answered 403") == true)
    #expect(lines.last?.contains("eyes not delivered") == true && lines.last?.contains("next try") == true)
  }
}
