internal import Primitives
package import ReviewStore
internal import Reviews

/// What the broker knows about the queues: one half of `baton queue`, the other is `StoreStats`.
package struct QueueFigures: Sendable, Equatable {
  /// The work queue's name.
  package var name: String
  /// Tickets ready in the work queue.
  package var ready: Int
  /// Consumers of the work queue.
  package var consumers: Int
  /// Messages in the dead-letter queue.
  package var dead: Int

  package init(name: String, ready: Int, consumers: Int, dead: Int) {
    self.name = name
    self.ready = ready
    self.consumers = consumers
    self.dead = dead
  }
}

/// The load at a glance: the body of `GET /api/stats`, and what `baton queue --json` prints.
package struct StatsBody: Sendable, Codable, Equatable {
  /// The work queue and its dead letters.
  package struct Queue: Sendable, Codable, Equatable {
    package var name: String
    package var ready: Int
    /// Deliveries that living consumers hold, by their own reports.
    package var unacknowledged: Int
    package var consumers: Int
    package var dead: Int
  }

  /// nil if the broker cannot be reached.
  package var queue: Queue?
  /// Rows of each status, with 0 if there is none.
  package var reviews: [String: Int]
  /// Pending reviews that are never due by themselves: available at `infinity`.
  package var held: Int
  /// The age of the oldest pending review that is due; nil if none waits.
  package var oldestPendingSeconds: Double?
  /// Since the claim of the oldest queued review that was not dispatched; nil if there is none.
  package var oldestQueuedSeconds: Double?

  /// For how long nothing was dispatched while reviews are due; nil while all is well.
  package var stalledSeconds: Double?
  /// What holds reviews back, the worst first.
  package var problems: [HealthFinding]

  package init(store: StoreStats, queue: QueueFigures?, health: SystemHealth? = nil) {
    self.queue = queue.map {
      Queue(
        name: $0.name, ready: $0.ready, unacknowledged: store.unacknowledged, consumers: $0.consumers, dead: $0.dead)
    }
    reviews = Dictionary(
      uniqueKeysWithValues: ReviewStatus.allCases.map { ($0.rawValue, store.counts[$0] ?? 0) })
    held = store.held
    oldestPendingSeconds = store.oldestPending.map { $0 / .seconds(1) }
    oldestQueuedSeconds = store.oldestQueued.map { $0 / .seconds(1) }
    stalledSeconds = health?.stalledFor.map { $0 / .seconds(1) }
    let deadLetters = queue.flatMap { HealthFinding.deadLetters($0.dead) }
    problems = (health?.findings ?? []) + [deadLetters].compactMap { $0 }
  }

  /// Writes `null` for what is not there, so that every key is always present.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(queue, forKey: .queue)
    try container.encode(reviews, forKey: .reviews)
    try container.encode(held, forKey: .held)
    try container.encode(oldestPendingSeconds, forKey: .oldestPendingSeconds)
    try container.encode(oldestQueuedSeconds, forKey: .oldestQueuedSeconds)
    try container.encode(stalledSeconds, forKey: .stalledSeconds)
    try container.encode(problems, forKey: .problems)
  }
}
