extension BlockReason {
  /// In a few words, for one review.
  package var title: String {
    switch self {
    case .dueLater: "due later"
    case .held: "held: it is never due by itself"
    case .paused: "its owner is paused"
    case .limit: "waits for a slot of its owner"
    case .unclaimed: "waits for a producer"
    case .unconsumed: "in the queue, and no consumer"
    case .silent: "silent run"
    case .unpublished: "claimed, and never confirmed by the broker"
    case .leaseExpired: "its consumer died or hung"
    case .lost: "its ticket is lost"
    case .stale: "untouched in the queue for long"
    }
  }

  /// Why a review of this kind waits, and what an operator can do: plain text, with commands in backticks.
  package var advice: String {
    switch self {
    case .dueLater:
      "Its time has not come: after a failed attempt, a rate limit, or as it was submitted. `baton release` makes it due now."
    case .held:
      "Available at infinity: never due by itself. `baton release` makes it due now; cancelling it is possible, too."
    case .paused: "`baton owner resume` lets its owner's reviews go on."
    case .limit: "Its owner has as many reviews under way as it may; `baton owner set` changes the limit."
    case .unclaimed: "It is due. A producer claims it next: is `baton produce` running?"
    case .unconsumed: "Start `baton consume`; if it runs, its log and its `/readyz` say why it takes nothing."
    case .silent:
      "The reaper asks the worker about it. Look at the worker's log if this stays; cancelling frees the slot."
    case .unpublished, .leaseExpired, .lost, .stale:
      "The reaper publishes it again at its next pass. If this stays, is `baton reap` running?"
    }
  }
}
