/// What preparing has learned about a pull request or merge request, whatever the platform.
struct PullRequestFacts: Sendable, Equatable {
  var title: String
  var author: String
  var description: String
  var isDraft: Bool
  /// Whether the commits come from another repository than the one they are meant for.
  var isFork: Bool
  /// The newest commit at present.
  var headSha: String
  /// The branch that the commits are meant for, at present.
  var baseRef: String
  /// The branch of the commits; a platform's own reference to them if they come from a fork.
  var headRef: String
  /// The repository's name at present; it may have been renamed since the review was submitted.
  var repository: String
  /// Where a GitLab repository is cloned from; nil for GitHub.
  var cloneURL: String?
  /// GitLab's three commits of a comment's position; nil for GitHub.
  var diffRefs: DiffRefs?
  var summary: SummaryComment
  /// nil if the comments could not be read.
  var inlineComments: InlineComments?

  struct DiffRefs: Sendable, Equatable {
    var base: String
    var start: String
    var head: String
  }
}

/// The one comment that sums up all reviews of a pull request; a later review rewrites it.
enum SummaryComment: Sendable, Equatable {
  /// The line that marks it, invisible in the rendered comment.
  static let marker = "<!-- baton-review -->"

  /// The comments could not be read: there may be one.
  case unknown
  case missing
  case comment(id: Int64, body: String)
}

/// The comments on lines of the diff: those that still apply, as far as a prompt shows them.
struct InlineComments: Sendable, Equatable {
  /// The most comments that are kept; of the others only the number.
  static let shownMax = 20
  /// The longest first line that is kept, in characters.
  static let excerptLengthMax = 60
  /// Of a comment, so many bytes are looked at for its first line.
  private static let excerptByteCountMax = 1_024

  struct Comment: Sendable, Equatable {
    var path: String
    var line: Int?
    /// The first line of its text.
    var excerpt: String
  }

  private(set) var shown: [Comment] = []
  private(set) var activeCount = 0
  private(set) var outdatedCount = 0

  /// Adds a comment in the order of the platform.
  mutating func add(path: String, line: Int?, text: String, isOutdated: Bool) {
    guard !isOutdated else {
      outdatedCount += 1
      return
    }
    activeCount += 1
    guard shown.count < Self.shownMax else { return }
    let firstLine = UntrustedText(markdown: text, byteCountMax: Self.excerptByteCountMax).firstLine
    shown.append(Comment(path: path, line: line, excerpt: String(firstLine.prefix(Self.excerptLengthMax))))
  }
}
