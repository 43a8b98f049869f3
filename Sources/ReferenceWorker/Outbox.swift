internal import FoundationEssentials
internal import Reviews
internal import WorkerAPI

/// The callbacks that wait to be accepted, in order per review.
///
/// At most three wait for a review: a newer `running` takes the place of one that has not gone out yet, and what an older
/// attempt had to say is dropped.
struct Outbox: Sendable {
  /// One callback on its way.
  struct Entry: Sendable, Equatable {
    var key: RunKey
    var callback: StatusCallback
    /// The run's own bearer token.
    var authToken: Secret
  }

  private var entries: [UUID: [Entry]] = [:]
  /// The reviews whose first entry is being sent.
  private var sending: Set<UUID> = []

  var isEmpty: Bool { entries.isEmpty }

  /// Adds a callback.
  /// - Returns: whether the caller has to begin sending this review's callbacks; false where that is under way.
  mutating func add(_ entry: Entry) -> Bool {
    let id = entry.key.reviewID
    var queue = entries[id] ?? []
    let isSending = sending.contains(id)
    let inFlight = isSending ? queue.first : nil
    var rest = isSending ? Array(queue.dropFirst()) : queue
    rest.removeAll { $0.key.attempt < entry.key.attempt }
    if rest.last?.callback.status == .running, entry.callback.status == .running { rest.removeLast() }
    queue = (inFlight.map { [$0] } ?? []) + rest + [entry]
    entries[id] = queue
    sending.insert(id)
    return !isSending
  }

  /// The callback to send now, until it is ``settle(_:)``d; nil ends the sending for this review.
  mutating func next(_ reviewID: UUID) -> Entry? {
    guard let entry = entries[reviewID]?.first else {
      sending.remove(reviewID)
      entries[reviewID] = nil
      return nil
    }
    return entry
  }

  /// Takes out the callback that was accepted, or refused for good.
  mutating func settle(_ reviewID: UUID) {
    entries[reviewID]?.removeFirst()
    if entries[reviewID]?.isEmpty == true { entries[reviewID] = nil }
  }
}
