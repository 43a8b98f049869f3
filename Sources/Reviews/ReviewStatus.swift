/// The status of a review. The database refuses every change that ``canBecome(_:)`` does not allow, but for one: a webhook's transaction that names
/// a completed review (`baton.rerun`) may make it pending, for another base or at a person's request.
package enum ReviewStatus: String, Sendable, CaseIterable, Codable {
  /// Waits for a slot of its owner, or for its time (`available_at`).
  case pending
  /// Claimed by a producer: a ticket is on its way, or a consumer prepares or has dispatched it.
  case queued
  /// The worker has said that it runs.
  case running
  /// The worker has finished it.
  case completed
  /// It has ended without a result; `error_code` says why.
  case failed
  /// A person, a newer push or a closed pull request has ended it.
  case cancelled

  /// Whether the review has ended: only a new attempt changes it then (I5).
  package var isTerminal: Bool {
    switch self {
    case .pending, .queued, .running: false
    case .completed, .failed, .cancelled: true
    }
  }

  /// Whether the review takes one of its owner's slots (I3).
  package var isActive: Bool { self == .queued || self == .running }

  /// Whether the change is allowed. `running` to itself stands for new details, and needs no permission.
  package func canBecome(_ next: ReviewStatus) -> Bool {
    switch (self, next) {
    case (.pending, .queued), (.pending, .cancelled), (.pending, .failed): true
    case (.queued, .pending), (.queued, .running), (.queued, .completed), (.queued, .failed), (.queued, .cancelled):
      true
    case (.running, .completed), (.running, .failed), (.running, .cancelled), (.running, .running): true
    case (.failed, .pending), (.cancelled, .pending): true
    default: false
    }
  }
}
