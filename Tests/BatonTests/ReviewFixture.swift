import FoundationEssentials
import Primitives
import Reviews

extension Review {
  /// A row as the database would have it, with what a test is about changed.
  static func fixture(_ number: Int = 1, _ change: (inout Review) -> Void = { _ in }) -> Review {
    let json = """
      {"id":"00000000-0000-4000-8000-00000000000\(number % 10)","ownerType":"org","ownerId":"acme","platform":"github",
       "repoFullName":"acme/shop","prNumber":\(number),"prUrl":"https://github.com/acme/shop/pull/\(number)",
       "prTitle":"Title","prAuthor":"ann","baseRef":"main","headRef":"cart","headSha":"3f2a9c1d","status":"pending",
       "priority":0,"attempt":1,"availableAt":"2026-11-23T22:00:00Z","republishCount":0,"leaseLosses":0,
       "dispatchFailures":0,"createdAt":"2026-11-23T22:00:00Z","updatedAt":"2026-11-23T22:00:00Z"}
      """
    // swift-format-ignore: NeverUseForceTry
    var review = try! JSONDecoder().decode(Review.self, from: Data(json.utf8))
    change(&review)
    return review
  }
}

extension Timestamp {
  /// So long after a fixture's submission.
  static func afterSubmission(_ duration: Duration) -> Timestamp {
    Timestamp(microseconds: Review.fixture().createdAt.microseconds + Int64(duration / .microseconds(1)))
  }
}
