internal import Spans
internal import Tracing

extension RunOrder {
  /// - Parameter isNew: whether this worker has begun its agent.
  func attributes(isNew: Bool) -> SpanAttributes {
    .review(key.reviewID, attempt: key.attempt).with([SpanKey.isAdopted: .bool(!isNew)])
  }
}

extension ActiveSpan {
  /// How an agent has ended.
  func note(_ exit: AgentExit) {
    let (outcome, isFailure) =
      switch exit {
      case .exited(let status, _): ("exited \(status)", status != 0)
      case .killed(let signal, _): ("killed \(signal)", true)
      case .notStarted: ("not_started", true)
      case .lost: ("lost", true)
      case .neverBegan: ("never_began", true)
      case .unread: ("unread", true)
      }
    set([SpanKey.outcome: .string(outcome)])
    if isFailure { fail(outcome) }
  }
}
