package import FoundationEssentials
package import Primitives

/// A review as it is submitted, with the names of `POST /api/reviews` and of `baton submit --file`.
package struct NewReview: Sendable, Codable, Equatable {
  package var owner: Owner
  package var userId: String?
  package var platform: Platform
  package var platformIntegrationId: UUID?
  package var platformProjectId: Int64?
  /// The platform's number of the repository; without it the repository is known by its name.
  package var platformRepositoryId: Int64?
  package var repoFullName: String
  package var prNumber: Int
  package var prUrl: String
  package var prTitle: String
  package var prAuthor: String
  package var baseRef: String
  package var headRef: String
  package var headSha: String
  package var priority: Int?
  /// Before this time the review does not start; nil: at once.
  package var availableAt: Timestamp?

  package init(
    owner: Owner, userId: String? = nil, platform: Platform, platformIntegrationId: UUID? = nil,
    platformProjectId: Int64? = nil, platformRepositoryId: Int64? = nil, repoFullName: String, prNumber: Int,
    prUrl: String, prTitle: String,
    prAuthor: String, baseRef: String, headRef: String, headSha: String, priority: Int? = nil,
    availableAt: Timestamp? = nil
  ) {
    self.owner = owner
    self.userId = userId
    self.platform = platform
    self.platformIntegrationId = platformIntegrationId
    self.platformProjectId = platformProjectId
    self.platformRepositoryId = platformRepositoryId
    self.repoFullName = repoFullName
    self.prNumber = prNumber
    self.prUrl = prUrl
    self.prTitle = prTitle
    self.prAuthor = prAuthor
    self.baseRef = baseRef
    self.headRef = headRef
    self.headSha = headSha
    self.priority = priority
    self.availableAt = availableAt
  }
}

/// What is wrong with a submitted review: every fault, each with the field it is about.
package struct NewReviewFaults: Error, Sendable, Equatable, CustomStringConvertible {
  /// Whether the text was no JSON object at all (400), or one with faulty fields (422).
  package var isMalformed: Bool
  /// Whether nothing is wrong but names that are refused: the sender reports what is there, and cannot help it.
  package var isNameRefused: Bool
  package var faults: [String]

  package init(isMalformed: Bool = false, isNameRefused: Bool = false, faults: [String]) {
    self.isMalformed = isMalformed
    self.isNameRefused = isNameRefused
    self.faults = faults
  }

  package var description: String { faults.joined(separator: "; ") }
}
