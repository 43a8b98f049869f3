internal import DequeModule

/// The deliveries of one channel and what was decided about each: decisions in, the fewest frames out.
///
/// Tags count up from 1. `multiple` acknowledges every unsettled tag up to its own, so it is only used if all of
/// them were acknowledged; a rejection is sent first, and then counts as settled. Each delivery is settled once.
struct AcknowledgementLedger {
  /// What was decided about a delivery.
  enum Verdict: Sendable {
    case acknowledge
    case reject(requeue: Bool)
  }

  /// A frame to send.
  enum Action: Equatable, Sendable {
    case acknowledge(UInt64, multiple: Bool)
    case reject(UInt64, requeue: Bool)
  }

  private struct Decision {
    var tag: UInt64
    var verdict: Verdict
    /// Whether it has been delayed by one flush, to be acknowledged together with earlier tags.
    var isLate = false
  }

  private enum Slot: UInt8 { case inHand, acknowledged, settled }

  /// A jump of the broker's tags beyond this is a broken peer, not deliveries that were dropped.
  private static let gapMax: UInt64 = 1 << 20

  private var slots: Deque<Slot> = []
  private var firstTag: UInt64 = 1
  private var decided: [Decision] = []
  /// Deliveries received and not yet decided.
  private(set) var inHandCount = 0

  /// The tag of the last delivery received; 0 before the first.
  var lastTag: UInt64 { firstTag + UInt64(slots.count) - 1 }

  /// How many decisions wait for `flush`.
  var decisionCount: Int { decided.count }

  /// Enters a delivery.
  /// - Returns: false if the tag does not follow the ones before.
  mutating func deliver(_ tag: UInt64) -> Bool {
    let expected = firstTag + UInt64(slots.count)
    guard tag >= expected, tag - expected <= Self.gapMax else { return false }
    for _ in expected..<tag { slots.append(.settled) }
    slots.append(.inHand)
    inHandCount += 1
    return true
  }

  /// Takes a decision; `flush` makes frames of it.
  /// - Returns: false if the tag is unknown or was decided before.
  mutating func decide(_ tag: UInt64, _ verdict: Verdict) -> Bool {
    guard tag >= firstTag, tag - firstTag < UInt64(slots.count) else { return false }
    let index = Int(tag - firstTag)
    guard slots[index] == .inHand else { return false }
    slots[index] = if case .acknowledge = verdict { .acknowledged } else { .settled }
    decided.append(Decision(tag: tag, verdict: verdict))
    inHandCount -= 1
    return true
  }

  /// The frames for the decisions taken, in the order to send them. An acknowledgement that would go alone, as an earlier delivery is
  /// still undecided, is kept for the next flush: by then it may share a frame.
  /// - Parameter early: keeps nothing.
  mutating func flush(early: Bool = true) -> [Action] {
    guard !decided.isEmpty else { return [] }
    var actions: [Action] = []
    for decision in decided {
      if case .reject(let requeue) = decision.verdict { actions.append(.reject(decision.tag, requeue: requeue)) }
    }
    if let prefix = takeAcknowledgedPrefix() { actions.append(prefix) }
    var kept: [Decision] = []
    for decision in decided where decision.tag >= firstTag {
      guard case .acknowledge = decision.verdict else { continue }
      if early || decision.isLate {
        actions.append(.acknowledge(decision.tag, multiple: false))
        slots[Int(decision.tag - firstTag)] = .settled
      } else {
        kept.append(Decision(tag: decision.tag, verdict: decision.verdict, isLate: true))
      }
    }
    decided = kept
    return actions
  }

  /// Drops the oldest slots up to the first undecided one, and acknowledges with one frame those of them that wait for it.
  private mutating func takeAcknowledgedPrefix() -> Action? {
    var last: UInt64?
    var count = 0
    while let slot = slots.first, slot != .inHand {
      if slot == .acknowledged {
        last = firstTag
        count += 1
      }
      slots.removeFirst()
      firstTag += 1
    }
    return last.map { .acknowledge($0, multiple: count > 1) }
  }
}
