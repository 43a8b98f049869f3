internal import FoundationEssentials
internal import Platforms
internal import Primitives
internal import ReviewStore
internal import Reviews

/// Has GitHub deliver again what it could not deliver, down to where the last walk began. Oldest first, as not every event has a time that says
/// where it belongs.
///
/// GitHub lists the newest first. So the list is read in sections, and what failed is repeated when its section has been read. A walk repeats each
/// delivery once. What fails once more stands at the top of GitHub's list, for the next walk.
struct FailedWebhooks {
  let questions: PlatformQuestions
  let interval: Duration

  /// Further back than the last walk came: deliveries may be listed late.
  private static let overlap: Int64 = 600 * 1_000_000
  /// Until a look that met an error goes on.
  private static let retry: Duration = .seconds(60)
  /// What a walk remembers between its looks. Another process reads the section again.
  struct Walk {
    /// The deliveries of which this walk has seen a newer attempt.
    fileprivate var seen: Set<String> = []
    fileprivate var section = Section(start: nil)
  }

  /// A part of GitHub's list, from a cursor on.
  fileprivate struct Section {
    /// Half of the requests of a look, so that the other half repeats something.
    static let pageCountMax = CatchUp.requestsOfLook / 2

    let start: String?
    var next: String?
    var pageCount = 0
    var isRead = false
    var isLast = false
    /// What is to be repeated, newest first.
    var failed: [AppWebhook] = []

    init(start: String?) {
      self.start = start
      next = start
    }
  }

  /// Where a walk stands.
  private struct Position {
    /// Where the section begins; nil at the top of the list.
    var start: String?
    /// The time of what was repeated of it last: what is older is done.
    var doneUpTo: Timestamp?

    private static let mark = "done "

    init(start: String?) { self.start = start }

    /// What earlier releases have stored is a cursor: everything above it is done.
    init(_ text: String?) {
      guard let text, text.hasPrefix(Self.mark) else {
        start = text
        return
      }
      let parts = text.dropFirst(Self.mark.count).split(separator: " ", maxSplits: 1)
      doneUpTo = parts.first.flatMap { Int64($0) }.map { Timestamp(microseconds: $0) }
      start = parts.count > 1 ? String(parts[1]) : nil
    }

    var text: String? {
      guard let doneUpTo else { return start }
      return ["\(Self.mark)\(doneUpTo.microseconds)", start].compactMap { $0 }.joined(separator: " ")
    }
  }

  /// - Parameter walk: of the same process; a new one begins where the list does.
  func look(
    _ look: CatchUpLook, _ budget: inout RequestBudget, _ walk: inout Walk
  ) async -> (CatchUpProgress, CatchUpFindings) {
    var found = CatchUpFindings()
    var progress = look.unchanged(wait: .zero)
    if progress.position == nil { walk = Walk() }
    var position = Position(progress.position)
    while true {
      if walk.section.start != position.start { walk.section = Section(start: position.start) }
      while !walk.section.isRead {
        guard budget.take() else { return (progress, found) }
        switch await questions.appWebhooks(after: walk.section.next) {
        case .answer(let page):
          if progress.position == nil, walk.section.pageCount == 0 {
            progress.begunAt = page.items.first?.deliveredAt ?? look.doneUpTo
          }
          read(page, from: look.doneUpTo, to: progress.begunAt, after: position.doneUpTo, &walk)
        case .later(let message, let delay):
          return (stopped(progress, message, delay, isUnanswered: delay == nil), found)
        case .blocked(let message): return (stopped(progress, message, nil), found)
        // A cursor that has expired: from the beginning.
        case .refused(let message):
          progress.position = nil
          return (stopped(progress, message, nil), found)
        }
      }
      while let webhook = walk.section.failed.last {
        guard budget.take() else { return (progress, found) }
        switch await questions.redeliver(webhook.id) {
        case .answer: found.redelivered += 1
        // GitHub repeats no delivery that is too old, or that it cannot find any more.
        case .refused: break
        case .later(let message, let delay):
          return (stopped(progress, message, delay, isUnanswered: delay == nil), found)
        case .blocked(let message): return (stopped(progress, message, nil), found)
        }
        walk.section.failed.removeLast()
        position.doneUpTo = webhook.deliveredAt
        progress.position = position.text
      }
      guard !walk.section.isLast else { return (finished(progress), found) }
      position = Position(start: walk.section.next)
      progress.position = position.text
    }
  }

  /// Takes from a page what is to be repeated.
  /// - Parameters:
  ///   - page: of GitHub's list.
  ///   - floor: where the last walk began.
  ///   - begunAt: an attempt that this walk has caused, or that came after its beginning, is the next walk's.
  ///   - doneUpTo: what is older has been repeated.
  ///   - walk: gets them.
  private func read(
    _ page: PlatformPage<AppWebhook>, from floor: Timestamp?, to begunAt: Timestamp?, after doneUpTo: Timestamp?,
    _ walk: inout Walk
  ) {
    walk.section.pageCount += 1
    for webhook in page.items {
      if let floor, webhook.deliveredAt.microseconds < floor.microseconds - Self.overlap {
        (walk.section.isRead, walk.section.isLast) = (true, true)
        return
      }
      guard walk.seen.insert(webhook.guid).inserted, Self.isWorthARepetition(webhook) else { continue }
      if let begunAt, webhook.deliveredAt > begunAt { continue }
      if let doneUpTo, webhook.deliveredAt < doneUpTo { continue }
      walk.section.failed.append(webhook)
    }
    walk.section.isLast = page.next == nil
    walk.section.isRead = walk.section.isLast || walk.section.pageCount >= Section.pageCountMax
    walk.section.next = page.next
  }

  /// What was answered with a fault of the payload is answered so again.
  private static func isWorthARepetition(_ webhook: AppWebhook) -> Bool {
    guard !webhook.isDelivered, GitHubPayload.events.contains(webhook.event) else { return false }
    return !(webhook.isRedelivery && [400, 404, 410, 413, 422].contains(webhook.status))
  }

  private func finished(_ progress: CatchUpProgress) -> CatchUpProgress {
    CatchUpProgress(
      position: nil, doneUpTo: progress.begunAt ?? progress.doneUpTo, begunAt: nil, wait: interval, isFinished: true)
  }

  /// - Parameters:
  ///   - progress: so far.
  ///   - message: why it ends.
  ///   - delay: what the platform asks for.
  ///   - isUnanswered: then it is asked again when those that answer have had their turn.
  private func stopped(
    _ progress: CatchUpProgress, _ message: String, _ delay: Duration?, isUnanswered: Bool = false
  ) -> CatchUpProgress {
    var progress = progress
    progress.wait = delay ?? (isUnanswered ? interval : Self.retry)
    (progress.error, progress.isUnanswered) = (message, isUnanswered)
    return progress
  }
}
