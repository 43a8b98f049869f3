// What must hold when everything has ended.
extension Checker {
  mutating func finish(at time: Duration) {
    for excess in excesses { violated(excess.violation.invariant, excess.violation.time, excess.violation.text) }
    // Of what Baton failed, the worker need not hear if it has not got it, or has ended it itself.
    let owed = cancelled.union(failed.filter { ends[$0] == nil }).intersection(accepted).subtracting(notified)
    for key in owed.sorted(by: { ($0.review, $0.attempt) < ($1.review, $1.attempt) }) {
      violated(.cancelDelivered, time, "the worker was not notified that r\(key.review)/\(key.attempt) has ended")
    }
    for (review, row) in rows.sorted(by: { $0.key < $1.key }) {
      let key = Key(review: review, attempt: row.attempt)
      let name = "r\(review)/\(row.attempt)"
      switch row.status {
      case "completed":
        if !hasEnded(key, as: "completed") {
          violated(.rightOutcome, time, "\(name) is completed, at the worker it is \(end(of: key))")
        }
      case "cancelled":
        if !cancelled.contains(key), !hasEnded(key, as: "cancelled") {
          violated(.rightOutcome, time, "\(name) is cancelled; no operator did that")
        }
      case "failed": judgeFailure(key, row.code ?? "", time)
      default: violated(.nothingLost, time, "\(name) is still \(row.status)")
      }
    }
  }

  private func hasEnded(_ key: Key, as state: String) -> Bool { ends[key]?.contains(state) ?? false }

  private func end(of key: Key) -> String { ends[key]?.sorted().joined(separator: ", ") ?? "not ended" }

  private mutating func judgeFailure(_ key: Key, _ code: String, _ time: Duration) {
    let isRight =
      switch code {
      case "agent_failed": hasEnded(key, as: "failed")
      case "worker_rejected": refused.contains(key)
      case "attempts_exhausted": failures[key, default: 0] + deaths >= 8
      default: false
      }
    guard !isRight else { return }
    violated(
      .rightOutcome, time,
      "r\(key.review)/\(key.attempt) failed as \(code); at the worker it is \(end(of: key)), "
        + "\(failures[key, default: 0]) failures of its own, \(deaths) processes ended")
  }
}
