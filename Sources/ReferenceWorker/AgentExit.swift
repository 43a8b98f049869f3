internal import Glibc

/// How an agent ended.
enum AgentExit: Sendable, Equatable {
  /// - Parameter lastWords: the end of its standard error.
  case exited(status: Int32, lastWords: String)
  case killed(signal: Int32, lastWords: String)
  /// It could not be started.
  case notStarted(String)
  /// The worker was gone when it ended, and it left no exit status: it was killed, or its machine was.
  case lost
  /// The worker was gone before the agent had begun, or the run was stopped before.
  case neverBegan
  /// It has ended, and what it printed could not be read.
  case unread(String)

  /// Whether something other than the worker has ended it: what ends all processes of a service or a machine also ends the worker.
  /// The worker's own TERM is recorded with the run as the reason of its end.
  var isLoss: Bool {
    switch self {
    case .lost, .killed(signal: SIGTERM, _): true
    case .exited, .killed, .notStarted, .neverBegan, .unread: false
    }
  }

  /// nil for success.
  var errorMessage: String? {
    switch self {
    case .exited(0, _): nil
    case .exited(let status, let lastWords): "the agent exited with status \(status)" + Self.suffix(lastWords)
    case .killed(let signal, let lastWords): "the agent was killed by signal \(signal)" + Self.suffix(lastWords)
    case .notStarted(let reason): "the agent could not be started: \(reason)"
    case .lost: "the worker was restarted, and the agent had been killed before"
    case .neverBegan: "the agent was not begun"
    case .unread(let reason): "the agent has ended, and its output could not be read: \(reason)"
    }
  }

  private static func suffix(_ lastWords: String) -> String { lastWords.isEmpty ? "" : ": \(lastWords)" }
}
