internal import FoundationEssentials
internal import Reviews

/// How far submitted reviews have come, and how that is shown. A value: it reads no clock and writes nothing.
struct Progress: Sendable {
  struct Item: Sendable, Equatable {
    var id: UUID
    var label: String
    var status: ReviewStatus
    var attempt: Int
    var note: String?
  }

  private(set) var items: [Item]
  /// Reviews that were followed until they were deleted.
  private(set) var droppedCount = 0
  private var indices: [UUID: Int] = [:]

  /// - Parameter items: a review that comes twice is followed once.
  init(_ items: [Item]) {
    self.items = []
    for item in items where indices[item.id] == nil {
      indices[item.id] = self.items.count
      self.items.append(item)
    }
  }

  /// The reviews that have not ended.
  var open: [UUID] { items.filter { !$0.status.isTerminal }.map(\.id) }

  /// Whether no producer has touched any of them.
  var isUntouched: Bool { !items.isEmpty && items.allSatisfy { $0.status == .pending } }

  func count(_ status: ReviewStatus) -> Int { items.count { $0.status == status } }

  /// Takes rows as they are now.
  /// - Returns: the items that have changed, in the order of submission.
  mutating func update(_ reviews: [Review]) -> [Item] {
    var changed: [Int] = []
    for review in reviews {
      guard let index = indices[review.id] else { continue }
      let old = items[index]
      items[index].status = review.status
      items[index].attempt = review.attempt
      items[index].note = review.outcome
      // A new reason alone is not a change.
      if old.status != review.status || old.attempt != review.attempt { changed.append(index) }
    }
    return changed.sorted().map { items[$0] }
  }

  /// Stops following reviews that were deleted.
  mutating func drop(_ ids: Set<UUID>) {
    let dropped = droppedCount + items.count { ids.contains($0.id) }
    self = Progress(items.filter { !ids.contains($0.id) })
    droppedCount = dropped
  }

  // MARK: As shown

  /// A line for each review if they all fit, else a summary.
  /// - Parameters:
  ///   - columns: no line is wider than this less one, so that none wraps.
  ///   - rows: fewer lines than this.
  func frame(columns: Int, rows: Int, elapsed: Duration, hint: String? = nil, usesColor: Bool) -> [String] {
    let width = max(10, columns - 1)
    var lines = items.count + 3 <= rows ? itemLines(width, usesColor) : summaryLines(width, rows, usesColor)
    let tail = "\(countsText)  after \(Times.span(elapsed))"
    lines.append(Style.bold.applied(to: DisplayText.fitted(tail, to: width), usesColor))
    if let hint { lines.append(Style.yellow.applied(to: DisplayText.fitted(hint, to: width), usesColor)) }
    return lines
  }

  /// What a change looks like if lines cannot be redrawn.
  static func changeLine(_ item: Item, elapsed: Duration) -> String {
    let attempt = item.attempt > 1 ? " (attempt \(item.attempt))" : ""
    let note = item.note.map { ": \(DisplayText.safe($0))" } ?? ""
    return "\(Times.span(elapsed))  \(item.label)  \(item.status.rawValue)\(attempt)\(note)"
  }

  /// `3 pending, 2 running, 10 completed`.
  var countsText: String {
    let counts = ReviewStatus.allCases.map { (count($0), $0.rawValue) }.filter { $0.0 > 0 }
    return counts.map { "\($0) \($1)" }.joined(separator: ", ")
  }

  private func itemLines(_ width: Int, _ usesColor: Bool) -> [String] {
    let statusMax = ReviewStatus.allCases.reduce(0) { max($0, $1.rawValue.count) }
    let labelMax = items.reduce(0) { max($0, DisplayText.width($1.label)) }
    let labelWidth = min(labelMax, max(1, width - statusMax - 2))
    let statusWidth = min(statusMax, width - labelWidth - 2)
    return items.map { item in
      let label = DisplayText.fitted(item.label, to: labelWidth)
      let padding = String(repeating: " ", count: max(0, labelWidth - DisplayText.width(label)))
      let status = DisplayText.fitted(item.status.rawValue, to: statusWidth)
      let statusPadding = String(repeating: " ", count: max(0, statusWidth - status.count))
      var rest = item.attempt > 1 ? "attempt \(item.attempt)  " : ""
      rest += DisplayText.safe(item.note ?? "")
      let room = width - labelWidth - statusWidth - 4
      let line = "\(label)\(padding)  \(item.status.style.applied(to: status, usesColor))"
      guard !rest.isEmpty && room >= 1 else { return line }
      return line + statusPadding + "  " + Style.dim.applied(to: DisplayText.fitted(rest, to: room), usesColor)
    }
  }

  /// A bar, and the last reviews that did not succeed.
  private func summaryLines(_ width: Int, _ rows: Int, _ usesColor: Bool) -> [String] {
    let ended = items.count { $0.status.isTerminal }
    let barWidth = max(1, min(50, width - 8))
    let filled = items.isEmpty ? barWidth : barWidth * ended / items.count
    let percent = items.isEmpty ? 100 : 100 * ended / items.count
    let bar =
      Style.green.applied(to: String(repeating: "█", count: filled), usesColor)
      + Style.dim.applied(to: String(repeating: "░", count: barWidth - filled), usesColor)
    let failed = items.filter { $0.status == .failed || $0.status == .cancelled }.suffix(max(0, min(5, rows - 5)))
    return ["\(bar) \(percent) %"]
      + failed.map { item in
        let text = "\(item.label)  \(item.status.rawValue)  \(DisplayText.safe(item.note ?? ""))"
        return Style.red.applied(to: DisplayText.fitted(text, to: width), usesColor)
      }
  }
}
