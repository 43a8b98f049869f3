/// How an agent ended.
enum AgentExit: Sendable, Equatable {
  /// - Parameter lastWords: the end of its standard error.
  case exited(status: Int32, lastWords: String)
  case killed(signal: Int32, lastWords: String)
  /// It could not be started.
  case notStarted(String)

  /// nil for success.
  var errorMessage: String? {
    switch self {
    case .exited(0, _): nil
    case .exited(let status, let lastWords): "the agent exited with status \(status)" + Self.suffix(lastWords)
    case .killed(let signal, let lastWords): "the agent was killed by signal \(signal)" + Self.suffix(lastWords)
    case .notStarted(let reason): "the agent could not be started: \(reason)"
    }
  }

  private static func suffix(_ lastWords: String) -> String { lastWords.isEmpty ? "" : ": \(lastWords)" }
}

/// Why a run is ended before its agent ends by itself.
enum StopReason: Sendable, Equatable {
  case cancelled
  /// A newer attempt of the review has begun.
  case replaced
  case timedOut(minutes: Int)
  case shutdown
}
