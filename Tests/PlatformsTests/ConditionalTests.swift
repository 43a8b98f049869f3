import Foundation
import Primitives
import Reviews
import Sandbox
import Testing

@testable import Platforms

@Suite("Conditional requests")
struct ConditionalTests {
  private static func prompt(_ payload: PreparedPayload) -> String { String(decoding: payload.body, as: UTF8.self) }

  @Test("what has not changed is not sent again, and the payload is the same")
  func unchanged() async throws {
    try await FakePlatformHarness.run { harness in
      let now = Date()
      let preparer = try harness.preparer(now: { now })
      let first = try await preparer.prepare(Samples.review())
      #expect(harness.fakePlatform.notModifiedCount == 0)
      let second = try await preparer.prepare(Samples.review())
      #expect(second == first && harness.fakePlatform.notModifiedCount == 3)
      harness.fakePlatform.setFields(["title": #""Another title""#], of: "acme/shop", number: 17)
      let third = try await preparer.prepare(Samples.review())
      #expect(Self.prompt(third).contains("Another title") && harness.fakePlatform.notModifiedCount == 5)
    }
  }

  @Test("an answer that one token may see never serves another")
  func tokens() async throws {
    try await FakePlatformHarness.run { harness in
      let preparer = try harness.preparer()
      for token in ["ghp_a", "ghp_b"] {
        _ = try await preparer.prepare(Samples.review(integration: try Samples.integration(token: token)))
      }
      _ = try await preparer.prepare(Samples.review())
      #expect(harness.fakePlatform.notModifiedCount == 0)
    }
  }

  @Test("a page that begins behind a full last page is not missed")
  func newPage() async throws {
    try await FakePlatformHarness.run { harness in
      func set(_ count: Int) {
        let comments = (0..<count).map { #"{"path":"a","body":"x","line":\#($0),"position":1}"# }
        harness.fakePlatform.setList(comments, route: .githubReviewComments, of: "acme/shop", number: 17)
      }
      let preparer = try harness.preparer()
      for count in [100, 101, 230, 230] {
        set(count)
        let payload = try await preparer.prepare(Samples.review())
        #expect(Self.prompt(payload).contains("\(count) still apply"))
      }
    }
  }

  @Test("the cache stays within its bytes, and keeps what is in use")
  func bounded() {
    let cache = AnswerCache(byteCountMax: 40_000)
    func kept(_ number: Int) -> AnswerCache.Kept {
      .init(etag: "\(number)", link: nil, body: Data(repeating: 1, count: 1_000))
    }
    cache.keep(kept(0), of: "used", for: nil)
    for number in 1...1_000 {
      cache.keep(kept(number), of: "\(number)", for: [1])
      #expect(cache.answer(of: "used", for: nil) == kept(0))
      #expect(cache.count <= 34)
    }
    #expect(cache.answer(of: "used", for: [1]) == nil && cache.answer(of: "1", for: [1]) == nil)
    cache.forget("used", for: nil)
    #expect(cache.answer(of: "used", for: nil) == nil)
    cache.keep(.init(etag: "x", link: nil, body: Data(repeating: 1, count: 30_000)), of: "large", for: nil)
    #expect(cache.answer(of: "large", for: nil) == nil)
  }
}
