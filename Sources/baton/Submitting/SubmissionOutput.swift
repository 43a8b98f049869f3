internal import Primitives
internal import ReviewStore
internal import Reviews

/// What `baton submit --json` prints for a review: one line each, every key always present.
struct SubmissionOutput: Encodable {
  var review: NewReview
  var submission: Submission
  /// The row when the waiting was over; nil without `--wait`.
  var row: Review?

  private enum CodingKeys: String, CodingKey {
    case id, isNew, status, attempt, owner, platform, repoFullName, prNumber, headSha, errorCode, errorMessage
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(submission.id.lowercase, forKey: .id)
    try container.encode(submission.isNew, forKey: .isNew)
    try container.encode(row?.status ?? submission.status, forKey: .status)
    try container.encode(row?.attempt, forKey: .attempt)
    try container.encode(review.owner, forKey: .owner)
    try container.encode(review.platform, forKey: .platform)
    try container.encode(review.repoFullName, forKey: .repoFullName)
    try container.encode(review.prNumber, forKey: .prNumber)
    try container.encode(review.headSha, forKey: .headSha)
    try container.encode(row?.errorCode, forKey: .errorCode)
    try container.encode(row?.errorMessage, forKey: .errorMessage)
  }
}

extension NewReview {
  /// `acme/shop#42`, or GitLab's `acme/shop!42`; safe to print.
  var label: String { DisplayText.safe("\(repoFullName)\(platform == .gitlab ? "!" : "#")\(prNumber)") }
}
