internal import Primitives
internal import ReviewStore
internal import Reviews

/// Reviews of the pull requests that the sandbox plays, for owners of its own; each run makes new ones.
struct SandboxRun {
  /// The pull requests that can be reviewed, see ``SandboxProgram/pullRequests()``.
  var pullRequests: [NewReview]
  var count: Int
  var ownerCount: Int
  var waits: Bool
  var timeout: Duration?
  var json: Bool
  /// Distinguishes this run's commits from those of all others: eight hexadecimal digits.
  var suffix = String(UInt32.random(in: 0x1000_0000...UInt32.max), radix: 16)

  /// - Throws: `Failure` if, with `waits`, a review was not dispatched exactly once, or has not completed.
  func run(_ store: ReviewStore) async throws {
    try await configureOwners(store)
    var items: [Submitter.Submitted] = []
    var submitter = Submitter(store: store) { items += $0 }
    try await submitter.submit(makeReviews().map { .init(place: $0.label, result: .success($0)) })
    guard waits else { return try printSubmitted(items) }
    Output.note("submitted: \(items.count), owners: \(ownerCount)")
    let watch = ReviewWatch(store: store, timeout: timeout)
    _ = try await watch.follow(
      items.map { item in
        var progress = item.progressItem
        progress.label = "\(item.review.owner)  \(progress.label)"
        return progress
      })
    let report = try await report(of: items, in: store)
    if json {
      for line in report.lines { try Output.json(SandboxOutput(line: line)) }
    } else {
      let terminal = Terminal.output
      try Output.lines(report.text(width: terminal.width, usesColor: terminal.usesColor))
    }
    guard submitter.faultCount == 0, report.lines.count == count, report.isGood else { throw Failure.reported }
  }

  /// The owners of sandbox reviews: `org:sandbox-1` and so on.
  static func owner(_ index: Int) -> Owner { Owner(type: .org, id: "sandbox-\(index + 1)") }

  /// Owners in turn, each with the pull requests in turn.
  func makeReviews() -> [NewReview] {
    guard !pullRequests.isEmpty else { return [] }
    return (0..<count).map { index in
      var review = pullRequests[index / ownerCount % pullRequests.count]
      review.owner = Self.owner(index % ownerCount)
      // The same pull request again is another commit of it.
      review.headSha = Self.sha(review.headSha, suffix: suffix, index: index)
      return review
    }
  }

  /// The recorded commit with this run's mark and the review's number in the place of its last digits.
  static func sha(_ recorded: String, suffix: String, index: Int) -> String {
    let number = String(index, radix: 16)
    let tail = suffix + String(repeating: "0", count: max(0, 5 - number.count)) + number
    return recorded.prefix(max(0, 40 - tail.count)) + tail
  }

  /// One configuration for each owner, each in another style.
  private func configureOwners(_ store: ReviewStore) async throws {
    let styles = ["balanced", "strict", "lenient", "roast"]
    for index in 0..<ownerCount {
      let json = #"{"review_style":"\#(styles[index % styles.count])","focus_areas":["bugs","security"]}"#
      try await store.setConfiguration(json, of: Self.owner(index), platform: .github)
    }
  }

  private func printSubmitted(_ items: [Submitter.Submitted]) throws {
    for item in items {
      if json {
        try Output.json(SubmissionOutput(review: item.review, submission: item.submission))
      } else {
        try Output.line("\(item.submission.id.lowercase)  \(item.submission.status.rawValue)  \(item.review.label)")
      }
    }
  }

  private func report(of items: [Submitter.Submitted], in store: ReviewStore) async throws -> SandboxReport {
    let rows = try await store.rows(of: items.map(\.submission.id))
    var lines: [SandboxReport.Line] = []
    for item in items {
      guard let review = rows[item.submission.id] else { continue }
      let transitions = try await store.transitions(of: review.id)
      lines.append(.init(review: review, faults: DispatchCheck.faults(review, transitions)))
    }
    let start = lines.map(\.review.createdAt).min()
    let end = lines.compactMap(\.review.completedAt).max()
    return SandboxReport(lines: lines, elapsed: start.flatMap { start in end?.since(start) } ?? .zero)
  }
}
