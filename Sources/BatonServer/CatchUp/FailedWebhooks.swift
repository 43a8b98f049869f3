internal import FoundationEssentials
internal import Platforms
internal import Primitives
internal import ReviewStore
internal import Reviews

/// Has GitHub deliver again what it could not deliver, newest first, down to where the last walk began.
///
/// A walk repeats each delivery once. What fails once more stands at the top of GitHub's list, for the next walk.
struct FailedWebhooks {
  let questions: PlatformQuestions
  let interval: Duration

  /// Further back than the last walk came: deliveries may be listed late.
  private static let overlap: Int64 = 600 * 1_000_000
  /// Until a look that met an error goes on.
  private static let retry: Duration = .seconds(60)
  /// The events that Baton does something about.
  private static let events: Set = PlatformWebhook.githubEvents.union(["pull_request", "repository"])

  /// - Parameter seen: the deliveries of which this walk has seen a newer attempt. A page is done whole, whatever is left of the budget:
  ///   read again from its beginning, its deliveries would look as if they had not been repeated.
  func look(
    _ look: CatchUpLook, _ budget: inout RequestBudget, seen: inout Set<String>
  ) async -> (CatchUpProgress, CatchUpFindings) {
    var found = CatchUpFindings()
    var progress = look.unchanged(wait: .zero)
    if progress.position == nil { seen = [] }
    while true {
      guard budget.take() else { return (progress, found) }
      switch await questions.appWebhooks(after: progress.position) {
      case .answer(let page):
        if progress.position == nil { progress.begunAt = page.items.first?.deliveredAt ?? look.doneUpTo }
        for webhook in page.items {
          if let floor = look.doneUpTo, webhook.deliveredAt.microseconds < floor.microseconds - Self.overlap {
            return (finished(progress), found)
          }
          guard seen.insert(webhook.guid).inserted, Self.isWorthARepetition(webhook) else { continue }
          // An attempt that this walk has caused, or that came after its beginning, is the next walk's.
          if let begunAt = progress.begunAt, webhook.deliveredAt > begunAt { continue }
          budget.count()
          switch await questions.redeliver(webhook.id) {
          case .answer: found.redelivered += 1
          // GitHub repeats no delivery that is too old, or that it cannot find any more.
          case .refused: continue
          case .later(let message, let delay):
            return (stopped(progress, message, delay), found)
          case .blocked(let message): return (stopped(progress, message, nil), found)
          }
        }
        guard let next = page.next else { return (finished(progress), found) }
        progress.position = next
      case .later(let message, let delay): return (stopped(progress, message, delay), found)
      case .blocked(let message): return (stopped(progress, message, nil), found)
      // A cursor that has expired: from the beginning.
      case .refused(let message):
        progress.position = nil
        return (stopped(progress, message, nil), found)
      }
    }
  }

  /// What was answered with a fault of the payload is answered so again.
  private static func isWorthARepetition(_ webhook: AppWebhook) -> Bool {
    guard !webhook.isDelivered, events.contains(webhook.event) else { return false }
    return !(webhook.isRedelivery && [400, 404, 410, 413, 422].contains(webhook.status))
  }

  private func finished(_ progress: CatchUpProgress) -> CatchUpProgress {
    CatchUpProgress(
      position: nil, doneUpTo: progress.begunAt ?? progress.doneUpTo, begunAt: nil, wait: interval, isFinished: true)
  }

  private func stopped(_ progress: CatchUpProgress, _ message: String, _ delay: Duration?) -> CatchUpProgress {
    var progress = progress
    progress.wait = delay ?? Self.retry
    progress.error = message
    return progress
  }
}
