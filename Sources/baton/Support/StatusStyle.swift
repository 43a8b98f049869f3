internal import Reviews

extension ReviewStatus {
  /// The colour that shows a status at a glance.
  var style: Style {
    switch self {
    case .pending: .dim
    case .queued: .yellow
    case .running: .blue
    case .completed: .green
    case .failed: .red
    case .cancelled: .dim
    }
  }
}

extension Review {
  /// `acme/shop#42`, or GitLab's `acme/shop!42`.
  var pullRequest: String { "\(repoFullName)\(platform == .gitlab ? "!" : "#")\(prNumber)" }

  /// Why it has this status: the error of an ended review, the last reason of others.
  var outcome: String? {
    guard let errorCode else { return status == .completed ? nil : statusReason }
    return errorMessage.map { "\(errorCode): \($0)" } ?? errorCode
  }
}
