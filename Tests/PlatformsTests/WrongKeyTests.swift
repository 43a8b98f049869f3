import Foundation
import Primitives
import Reviews
import Sandbox
import Testing

@testable import Platforms

/// Whose fault it is that a stored token does not open.
@Suite("A token that does not open")
struct WrongKeyTests {
  private static let otherKey = [UInt8](repeating: 9, count: 32)

  private static func error(
    _ harness: FakePlatformHarness, _ ciphertext: [UInt8], platform: Platform = .github
  ) async throws -> PreparationError? {
    let integration = Integration(
      id: Samples.integrationID, instanceUrl: platform == .gitlab ? harness.address : nil, tokenCiphertext: ciphertext)
    let review = Samples.review(
      platform: platform, repository: platform == .gitlab ? "gitlab-org/gitlab-ee" : "acme/shop", number: 14656,
      projectID: platform == .gitlab ? 278_964 : nil, integration: integration)
    return await #expect(throws: PreparationError.self) { try await harness.preparer().prepare(review) }
  }

  @Test("without its key a review waits for the operator, and no platform is called", arguments: Platform.allCases)
  func keyMissing(platform: Platform) async throws {
    try await FakePlatformHarness.run { harness in
      let other = TokenCipher(key: Self.otherKey)
      let place = SealedPlace.token(of: Samples.integrationID)
      for format in TokenCipher.Format.allCases {
        let sealed = try other.seal(Secret("t"), in: place, format: format)
        guard case .keyMissing(let message)? = try await Self.error(harness, sealed, platform: platform) else {
          Issue.record("not a missing key")
          return
        }
        #expect(message.contains("BATON_ENCRYPTION_KEY") && message.contains("new,old"), "\(message)")
        if format == .keyed { #expect(message.contains(other.currentKeyID.description), "\(message)") }
      }
      #expect(harness.fakePlatform.callCounts.isEmpty)
    }
  }

  @Test("with its key, a damaged token fails the review with what to do", arguments: Platform.allCases)
  func damaged(platform: Platform) async throws {
    try await FakePlatformHarness.run { harness in
      let cipher = TokenCipher(key: Samples.key)
      let moved = try cipher.seal(Secret("t"), in: .webhookSecret(of: Samples.integrationID))
      guard
        case .permanent(.platformRefused, let message)? = try await Self.error(harness, moved, platform: platform)
      else {
        Issue.record("not the row's fault")
        return
      }
      #expect(message.contains("baton integration add"), "\(message)")
    }
  }

  @Test("feedback without its key waits and is not given up", arguments: Platform.allCases)
  func feedback(platform: Platform) async throws {
    try await FakePlatformHarness.run { harness in
      let sealed = try TokenCipher(key: Self.otherKey).seal(Secret("t"), in: .token(of: Samples.integrationID))
      let feedback = PullRequestFeedback(
        reviewID: Samples.reviewID, subject: .eyes, attempt: 1, status: .pending, platform: platform,
        platformProjectId: 278_964, repoFullName: "acme/shop", prNumber: 7, prUrl: "https://x.example/acme/shop/7",
        headSha: "0a1b2c", errorCode: nil, gateResult: nil,
        integration: Integration(
          id: Samples.integrationID, instanceUrl: platform == .gitlab ? harness.address : nil, tokenCiphertext: sealed),
        checkRunID: nil, toldAttempt: nil, toldStatus: nil, tries: 1)
      let answer = await FeedbackSender(access: try harness.access()).send(feedback)
      guard case .blocked(let message) = answer else {
        Issue.record("\(answer)")
        return
      }
      #expect(message.contains("BATON_ENCRYPTION_KEY"))
    }
  }
}
