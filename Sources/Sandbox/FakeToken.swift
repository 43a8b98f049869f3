internal import FoundationEssentials

/// A GitLab access token that the stand-in knows; one that it does not know is a project's, and does not end.
package struct FakeToken: Sendable, Equatable {
  package var id: Int
  package var userID: Int
  /// `project_7_bot` for a project's token; any other name is a person's.
  package var username: String
  /// The day on which it ends, `2027-01-31`; nil if it does not.
  package var expiresAt: String?
  /// Whether its user is a maintainer, who may make and rotate tokens of projects.
  package var isMaintainer: Bool
  package var isRevoked = false
  /// A token and those that it was rotated into.
  var family = 0

  package init(
    id: Int, userID: Int = 2_453, username: String = "project_278964_bot", expiresAt: String? = nil,
    isMaintainer: Bool = false
  ) {
    self.id = id
    self.userID = userID
    self.username = username
    self.expiresAt = expiresAt
    self.isMaintainer = isMaintainer
    family = id
  }

  package var isPersonal: Bool { !username.contains("_bot") }

  /// Whether its last day is over: it ends with the midnight, in UTC, that its day begins with.
  package var hasEnded: Bool { expiresAt.map { $0 <= String(Date().formatted(.iso8601).prefix(10)) } ?? false }
}
