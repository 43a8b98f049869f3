internal import DequeModule

/// What was published on one channel and awaits its confirm: event in, outcomes out.
///
/// Tags count up from 1 without gaps, so the ledger is a deque, and `multiple` settles a prefix. A return carries no
/// tag but comes before its own confirm: the oldest matching message not yet returned is marked, and settles as
/// returned when its confirm arrives.
///
/// Known weakness: messages in flight that share message id, exchange and routing key cannot be distinguished. That is
/// harmless if one return means that all of them have no route.
struct ConfirmLedger<Payload> {
  private struct Entry {
    /// Nil once settled or given up; the slot remains until it is the oldest.
    var payload: Payload?
    var byteCount: Int
    var deadline: ContinuousClock.Instant
    var returned: AMQPPublishOutcome?
    var isSettled = false
  }

  private var entries: Deque<Entry> = []
  private var firstTag: UInt64 = 1
  /// Messages without a confirm, those given up included: the broker may still be busy with them.
  private(set) var unsettledCount = 0
  /// The bytes of their bodies.
  private(set) var unsettledByteCount = 0

  /// Enters a message that is about to be written, and gives its tag.
  mutating func register(_ payload: Payload, byteCount: Int, deadline: ContinuousClock.Instant) -> UInt64 {
    entries.append(Entry(payload: payload, byteCount: byteCount, deadline: deadline))
    unsettledCount += 1
    unsettledByteCount += byteCount
    return firstTag + UInt64(entries.count) - 1
  }

  /// Takes a basic.ack or basic.nack.
  /// - Parameter multiple: settles every older tag too; a tag of 0 then means all.
  /// - Returns: false if the tag was never given out or is settled already.
  @discardableResult
  mutating func settle(
    tag: UInt64, multiple: Bool, isAcknowledged: Bool, _ resume: (Payload, AMQPPublishOutcome) -> Void
  ) -> Bool {
    let end = firstTag + UInt64(entries.count)
    guard tag < end, multiple || tag >= firstTag else { return false }
    if !multiple {
      guard !entries[Int(tag - firstTag)].isSettled else { return false }
      settleEntry(at: Int(tag - firstTag), isAcknowledged, resume)
    } else {
      let upTo = tag == 0 ? entries.count : tag < firstTag ? 0 : Int(tag - firstTag) + 1
      for index in 0..<upTo { settleEntry(at: index, isAcknowledged, resume) }
    }
    while let first = entries.first, first.isSettled {
      entries.removeFirst()
      firstTag += 1
    }
    return true
  }

  private mutating func settleEntry(
    at index: Int, _ isAcknowledged: Bool, _ resume: (Payload, AMQPPublishOutcome) -> Void
  ) {
    guard !entries[index].isSettled else { return }
    entries[index].isSettled = true
    unsettledCount -= 1
    unsettledByteCount -= entries[index].byteCount
    guard let payload = entries[index].payload.take() else { return }
    resume(payload, entries[index].returned ?? (isAcknowledged ? .confirmed : .nacked))
  }

  /// Takes a basic.return.
  /// - Parameter matches: whether it may be this message that came back.
  /// - Returns: false if no message in flight matches.
  @discardableResult
  mutating func markReturned(code: Int, text: String, _ matches: (Payload) -> Bool) -> Bool {
    let index = entries.firstIndex { $0.returned == nil && $0.payload.map(matches) == true }
    guard let index else { return false }
    entries[index].returned = .returned(code: code, text: text)
    return true
  }

  /// Gives up waiting for the messages whose deadline has passed: they are unknown. Their tags stay in the window.
  /// - Returns: the next deadline, if any.
  mutating func expire(
    now: ContinuousClock.Instant, reason: String, _ resume: (Payload, AMQPPublishOutcome) -> Void
  ) -> ContinuousClock.Instant? {
    var next: ContinuousClock.Instant?
    for index in entries.indices where entries[index].payload != nil {
      let deadline = entries[index].deadline
      if deadline <= now {
        if let payload = entries[index].payload.take() { resume(payload, .unknown(reason)) }
      } else {
        next = min(next ?? deadline, deadline)
      }
    }
    return next
  }

  /// The channel is over: a returned message was returned, every other is unknown. Tags begin at 1 again.
  mutating func failAll(reason: String, _ resume: (Payload, AMQPPublishOutcome) -> Void) {
    for var entry in entries {
      if let payload = entry.payload.take() { resume(payload, entry.returned ?? .unknown(reason)) }
    }
    self = ConfirmLedger()
  }
}
