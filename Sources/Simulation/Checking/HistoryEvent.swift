/// What happened in a world, as the world itself has seen it: at the ports, at the worker, by the operators' hands.
enum HistoryEvent: Sendable, Hashable {
  case submitted(review: Int)
  case operated(Scenario.Operation.Kind)
  /// More messages are ready in the queue than ever before.
  case ready(Int)
  /// The worker has accepted a cancel.
  case notified(review: Int, attempt: Int)
  /// An operator's or a push's cancel has been accepted.
  case cancelled(review: Int, attempt: Int)
  case retried(review: Int, attempt: Int)
  case published(review: Int, attempt: Int, outcome: String)
  case delivered(review: Int, attempt: Int, isRedelivered: Bool)
  case preparing(review: Int, attempt: Int)
  case posting(review: Int, attempt: Int)
  case answered(review: Int, attempt: Int, String)
  /// - Parameter attempt: the one that the worker has, as it answers; nil if it has none or does not answer.
  case asked(review: Int, attempt: Int?, String)
  /// The worker begins a run.
  case started(review: Int, attempt: Int)
  /// A worker that is not idempotent begins another run of the same attempt.
  case startedAgain(review: Int, attempt: Int)
  case ended(review: Int, attempt: Int, String)
  case calledBack(review: Int, attempt: Int, String, isApplied: Bool)
  case settled(review: Int, attempt: Int, String)
  case began(InjectedFault)
  case healed(InjectedFault)
  case processStarted(String)
  case processEnded(String)
  /// What the row says, as anyone may ask.
  case seen(review: Int, attempt: Int, status: String, code: String?)
}

extension HistoryEvent: CustomStringConvertible {
  var description: String {
    switch self {
    case .submitted(let review): "r\(review) submitted"
    case .operated(let kind): "operator: \(kind)"
    case .ready(let count): "\(count) messages are ready"
    case .notified(let review, let attempt): "r\(review)/\(attempt) is cancelled at the worker"
    case .cancelled(let review, let attempt): "r\(review)/\(attempt) cancelled by an operator"
    case .retried(let review, let attempt): "r\(review)/\(attempt) begins by an operator's retry"
    case .published(let review, let attempt, let outcome): "r\(review)/\(attempt) published: \(outcome)"
    case .delivered(let review, let attempt, let isAgain): "r\(review)/\(attempt) delivered\(isAgain ? " again" : "")"
    case .preparing(let review, let attempt): "r\(review)/\(attempt) is prepared"
    case .posting(let review, let attempt): "r\(review)/\(attempt) POST"
    case .answered(let review, let attempt, let answer): "r\(review)/\(attempt) answered: \(answer)"
    case .asked(let review, _, let answer): "r\(review) GET: \(answer)"
    case .started(let review, let attempt): "r\(review)/\(attempt) starts at the worker"
    case .startedAgain(let review, let attempt): "r\(review)/\(attempt) starts at the worker AGAIN"
    case .ended(let review, let attempt, let state): "r\(review)/\(attempt) ends at the worker: \(state)"
    case .calledBack(let review, let attempt, let what, _): "r\(review)/\(attempt) callback \(what)"
    case .settled(let review, let attempt, let what): "r\(review)/\(attempt) \(what)"
    case .began(let fault): "FAULT \(fault)"
    case .healed(let fault): "healed: \(fault)"
    case .processStarted(let name): "\(name) starts"
    case .processEnded(let name): "\(name) ends"
    case .seen(let review, let attempt, let status, let code):
      "r\(review)/\(attempt) is \(status)\(code.map { " (\($0))" } ?? "")"
    }
  }
}

/// An event with its time and its process.
struct HistoryEntry: Sendable, CustomStringConvertible {
  let time: Duration
  let process: Int
  let name: String
  let event: HistoryEvent

  var description: String {
    let padding = String(repeating: " ", count: max(0, 10 - time.text.count))
    return "\(padding)\(time.text)  \(name.isEmpty ? "world" : name): \(event)"
  }
}
