internal import FoundationEssentials
internal import ReviewStore
internal import Reviews

/// Follows reviews until all have ended, showing their progress on standard error.
struct ReviewWatch {
  private let store: ReviewStore
  private let terminal: Terminal
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private let timeout: Duration?
  private static let pollInterval = Duration.milliseconds(250)
  private static let pageMax = 1_000
  /// Postgres may be unreachable for this long before the watch gives up; the reviews go on without it.
  private static let outageMax = Duration.seconds(60)
  private static let hintAfter = Duration.seconds(10)

  /// - Parameter timeout: from now on; nil waits indefinitely.
  init(store: ReviewStore, timeout: Duration?, terminal: Terminal = .error) {
    self.store = store
    self.terminal = terminal
    self.timeout = timeout
    start = clock.now
  }

  /// - Returns: the progress as it was last seen: all ended, or the timeout has passed.
  func follow(_ items: [Progress.Item]) async throws -> Progress {
    var progress = Progress(items)
    var display = LiveDisplay()
    var outageStart: ContinuousClock.Instant?
    while true {
      do {
        try await poll(&progress)
        outageStart = nil
      } catch let fault as any StoreFault where fault.isTransient {
        let since = outageStart ?? clock.now
        outageStart = since
        guard since.duration(to: clock.now) < Self.outageMax else { throw fault }
      }
      draw(progress, &display, isOutage: outageStart != nil)
      let isOver = timeout.map { start.duration(to: clock.now) >= $0 } ?? false
      if progress.open.isEmpty || isOver {
        if progress.droppedCount > 0 {
          Output.note("Error: \(progress.droppedCount) reviews were deleted in the meantime")
        }
        return progress
      }
      try await clock.sleep(for: Self.pollInterval)
    }
  }

  private func poll(_ progress: inout Progress) async throws {
    let open = progress.open
    for start in stride(from: 0, to: open.count, by: Self.pageMax) {
      let page = Array(open[start..<min(start + Self.pageMax, open.count)])
      let rows = try await store.reviews(page)
      let changed = progress.update(rows)
      let missing = Set(page).subtracting(rows.map(\.id))
      if !missing.isEmpty { progress.drop(missing) }
      guard !terminal.isInteractive else { continue }
      let elapsed = self.start.duration(to: clock.now)
      for item in changed { Output.note(Progress.changeLine(item, elapsed: elapsed)) }
    }
  }

  private func draw(_ progress: Progress, _ display: inout LiveDisplay, isOutage: Bool) {
    guard terminal.isInteractive else { return }
    let (columns, rows) = terminal.size
    let elapsed = start.duration(to: clock.now)
    var hint: String?
    if isOutage {
      hint = "Postgres cannot be reached; trying again"
    } else if progress.isUntouched && elapsed > Self.hintAfter {
      hint = "Nothing has been claimed yet: is `baton up` or `baton produce` running?"
    }
    let lines = progress.frame(
      columns: columns, rows: rows, elapsed: elapsed, hint: hint, usesColor: terminal.usesColor)
    // If the terminal is gone, the result still counts.
    try? Output.write(display.frame(lines), to: Output.standardError)
  }
}
