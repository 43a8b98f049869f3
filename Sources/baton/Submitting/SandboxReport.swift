internal import Primitives
internal import Reviews

/// The times of each of a sandbox run's reviews since its submission, and the totals.
struct SandboxReport {
  struct Line {
    var review: Review
    /// From ``DispatchCheck``.
    var faults: [String]
  }

  var lines: [Line]
  /// From the first submission to the last end that was seen.
  var elapsed: Duration

  var isGood: Bool { lines.allSatisfy { $0.faults.isEmpty } }

  func text(width: Int?, usesColor: Bool) -> [String] {
    table.lines(width: width, usesColor: usesColor) + [""] + totals(usesColor)
  }

  private var table: Table {
    var table = Table([
      .left("OWNER"), .left("PULL REQUEST"), .right("CLAIMED"), .right("QUEUED"), .right("PREPARED"),
      .right("DISPATCHED"),
      .right("COMPLETED"), .right("ATTEMPTS"), .prose("RESULT"),
    ])
    for line in lines {
      let review = line.review
      func after(_ time: Timestamp?) -> Table.Cell {
        .init(time.map { "+" + Times.span($0.since(review.createdAt)) })
      }
      let result: Table.Cell =
        line.faults.isEmpty ? .init("dispatched once", .green) : .init(line.faults.joined(separator: "; "), .red)
      table.append([
        .init("\(review.owner)"), .init(review.pullRequest), after(review.claimedAt), after(review.publishedAt),
        after(review.preparedAt), after(review.dispatchedAt), after(review.completedAt), .init("\(review.attempt)"),
        result,
      ])
    }
    return table
  }

  private func totals(_ usesColor: Bool) -> [String] {
    let good = lines.count { $0.faults.isEmpty }
    let completed = lines.count { $0.review.status == .completed }
    let waits = lines.compactMap { line in line.review.dispatchedAt?.since(line.review.createdAt) }.sorted()
    var totals = [
      "\(lines.count) submitted, \(completed) completed, \(good) dispatched exactly once, in \(Times.span(elapsed))"
    ]
    if let last = waits.last {
      let half = Times.span(waits[(waits.count - 1) / 2])
      let most = Times.span(waits[(waits.count - 1) * 95 / 100])
      totals.append("submission to dispatch: half within \(half), 95 % within \(most), all within \(Times.span(last))")
    }
    if good < lines.count {
      totals.append(Style.red.applied(to: "\(lines.count - good) did not go as they should", usesColor))
    }
    return totals
  }
}

/// A sandbox review as `baton submit --sandbox --wait --json` prints it: a line each, times in milliseconds since submission.
struct SandboxOutput: Encodable {
  var line: SandboxReport.Line

  private enum CodingKeys: String, CodingKey {
    case id, owner, platform, repoFullName, prNumber, headSha, status, attempt, claimedMs, queuedMs, preparedMs,
      dispatchedMs
    case completedMs, dispatchedOnce, faults
  }

  func encode(to encoder: any Encoder) throws {
    let review = line.review
    func after(_ time: Timestamp?) -> Int64? { time.map { ($0.microseconds - review.createdAt.microseconds) / 1_000 } }
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(review.id.lowercase, forKey: .id)
    try container.encode(review.owner, forKey: .owner)
    try container.encode(review.platform, forKey: .platform)
    try container.encode(review.repoFullName, forKey: .repoFullName)
    try container.encode(review.prNumber, forKey: .prNumber)
    try container.encode(review.headSha, forKey: .headSha)
    try container.encode(review.status, forKey: .status)
    try container.encode(review.attempt, forKey: .attempt)
    try container.encode(after(review.claimedAt), forKey: .claimedMs)
    try container.encode(after(review.publishedAt), forKey: .queuedMs)
    try container.encode(after(review.preparedAt), forKey: .preparedMs)
    try container.encode(after(review.dispatchedAt), forKey: .dispatchedMs)
    try container.encode(after(review.completedAt), forKey: .completedMs)
    try container.encode(line.faults.isEmpty, forKey: .dispatchedOnce)
    try container.encode(line.faults, forKey: .faults)
  }
}
