internal import DequeModule

/// The deliveries of one channel and what was decided about each: decisions in, the fewest frames out.
///
/// Tags count up from 1. `multiple` acknowledges every unsettled tag up to its own, so it is only used where all of
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

  private enum Slot: UInt8 { case inHand, acknowledged, settled }

  /// A jump of the broker's tags beyond this is a broken peer, not deliveries that were dropped.
  private static let gapMax: UInt64 = 1 << 20

  private var slots: Deque<Slot> = []
  private var firstTag: UInt64 = 1
  private var decided: [(tag: UInt64, verdict: Verdict)] = []
  /// Deliveries received and not yet decided.
  private(set) var inHandCount = 0

  /// Whether there is something to flush.
  var hasDecisions: Bool { !decided.isEmpty }

  /// Enters a delivery.
  /// - Returns: false where the tag does not follow the ones before.
  mutating func deliver(_ tag: UInt64) -> Bool {
    let expected = firstTag + UInt64(slots.count)
    guard tag >= expected, tag - expected <= Self.gapMax else { return false }
    for _ in expected..<tag { slots.append(.settled) }
    slots.append(.inHand)
    inHandCount += 1
    return true
  }

  /// Takes a decision; `flush` makes frames of it.
  /// - Returns: false where the tag is unknown or was decided before.
  mutating func decide(_ tag: UInt64, _ verdict: Verdict) -> Bool {
    guard tag >= firstTag, tag - firstTag < UInt64(slots.count) else { return false }
    let index = Int(tag - firstTag)
    guard slots[index] == .inHand else { return false }
    slots[index] = if case .acknowledge = verdict { .acknowledged } else { .settled }
    decided.append((tag, verdict))
    inHandCount -= 1
    return true
  }

  /// The frames for the decisions since the last flush, in the order to send them.
  mutating func flush() -> [Action] {
    guard !decided.isEmpty else { return [] }
    var actions: [Action] = []
    for case (let tag, .reject(let requeue)) in decided { actions.append(.reject(tag, requeue: requeue)) }
    if let prefix = takeAcknowledgedPrefix() { actions.append(prefix) }
    for case (let tag, .acknowledge) in decided where tag >= firstTag {
      actions.append(.acknowledge(tag, multiple: false))
      slots[Int(tag - firstTag)] = .settled
    }
    decided.removeAll(keepingCapacity: true)
    return actions
  }

  /// Drops the oldest slots up to the first in hand, and acknowledges those of them that wait for it in one frame.
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
