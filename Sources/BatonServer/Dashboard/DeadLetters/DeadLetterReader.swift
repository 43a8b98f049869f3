internal import Foundation
internal import Primitives
internal import Resilience
package import ReviewQueue
internal import ReviewStore
internal import Reviews

/// How the page reaches the dead letters; each throws if the broker cannot be reached.
package struct DeadLetterAccess: Sendable {
  /// Looks at up to `limit` of the oldest, and leaves them where they are.
  var peek: @Sendable (_ limit: Int) async throws -> [DeadLetter]
  /// Deletes those with a message id among the oldest `limit`; gives how many.
  var delete: @Sendable (_ messageID: String, _ limit: Int) async throws -> Int

  package init(
    peek: @escaping @Sendable (_ limit: Int) async throws -> [DeadLetter],
    delete: @escaping @Sendable (_ messageID: String, _ limit: Int) async throws -> Int
  ) {
    self.peek = peek
    self.delete = delete
  }
}

/// What one look at the dead-letter queue has found.
struct DeadLetterLook: Sendable, Equatable {
  /// The oldest, at most ``countMax``.
  var letters: [DeadLetter]
  /// When, by the database's clock.
  var at: Timestamp
  /// How many there were in all.
  var count: Int

  static let countMax = 20
  /// See ``DeadLetterReader`` for why.
  static let returnMax = 10
  static let keptAtLeast = Duration.seconds(60)

  /// Whether its letters have been looked at as often as they may.
  var isLast: Bool { letters.contains { $0.returns >= Self.returnMax } }

  /// Whether it is to be kept.
  /// - Parameters:
  ///   - count: how many dead letters there are now.
  ///   - age: since it was taken.
  func isKept(count: Int, age: Duration) -> Bool {
    // Fewer may be ready because another process looks right now: no reason to look once too often.
    if isLast, count > 0 { return true }
    // Fewer than it shows: some of those are gone. None shown: another look cannot be one too many.
    guard count >= letters.count, !letters.isEmpty || count == 0 else { return false }
    return count == self.count || age < Self.keptAtLeast
  }
}

/// The dead letters and the reviews that they are about.
struct DeadLetterView: Sendable {
  var now: Timestamp
  /// How many there are now; nil if the broker cannot be reached.
  var count: Int?
  /// The newest look; nil if the broker could not be reached yet.
  var look: DeadLetterLook?
  /// The rows of those that have one, as they are now.
  var reviews: [UUID: Review] = [:]
}

/// Looks at the oldest dead letters, for the page that lists them.
///
/// The database does not know which they are: a message that is no ticket has no row, and the row of a ticket that the broker gave up is
/// published again by the reaper and bears no trace. So the queue is asked, without a consumer: a look takes the messages one by one and
/// gives them back (`TicketQueue.deadLetters`). The broker counts that as a delivery of each. Before RabbitMQ 4 that has no effect. From then on
/// a quorum queue that declares no limit drops what has come back more than 20 times.
///
/// So a look is bounded, and the same for all who watch. It is kept for a minute, and for as long as the number of dead letters stays the
/// same. After half of the looks that a letter has, this process looks at it no more: the other half is left to `baton dead list`.
///
/// Known weakness: each process of `baton serve` has looks of its own, and one that looks while another does misses what that one holds.
actor DeadLetterReader {
  private let store: ReviewStore
  private let count: @Sendable () async -> Int?
  private let access: DeadLetterAccess
  private let flight = SingleFlight<String, DeadLetterLook>()
  private var kept: (look: DeadLetterLook, since: ContinuousClock.Instant)?

  /// - Parameters:
  ///   - store: of the reviews that the letters are about.
  ///   - count: how many dead letters there are; nil if the broker cannot be reached.
  ///   - access: how they are reached.
  init(store: ReviewStore, count: @escaping @Sendable () async -> Int?, access: DeadLetterAccess) {
    self.store = store
    self.count = count
    self.access = access
  }

  /// The dead letters as they were when they were last looked at, and their reviews as they are now.
  /// - Throws: `StoreFault`.
  func read() async throws -> DeadLetterView {
    let now = try await store.now()
    let count = await count()
    if let count, kept.map({ !$0.look.isKept(count: count, age: .now - $0.since) }) ?? true {
      // If it fails, the view says that the broker is unreachable, or shows what was seen before.
      if let look = try? await look(count, at: now) { kept = (look, .now) }
    }
    var view = DeadLetterView(now: now, count: count, look: kept?.look)
    let ids = Set(view.look?.letters.compactMap(\.reviewId) ?? [])
    if !ids.isEmpty {
      view.reviews = Dictionary(uniqueKeysWithValues: try await store.reviews(Array(ids)).map { ($0.id, $0) })
    }
    return view
  }

  /// Deletes a dead letter, and no longer shows it.
  /// - Returns: whether it was there.
  func delete(_ messageID: String) async throws -> Bool {
    let isDeleted = try await access.delete(messageID, DeadLetter.lookMax) > 0
    kept?.look.letters.removeAll { $0.messageId == messageID }
    if isDeleted { kept?.look.count -= 1 }
    return isDeleted
  }

  private func look(_ count: Int, at now: Timestamp) async throws -> DeadLetterLook {
    guard count > 0 else { return DeadLetterLook(letters: [], at: now, count: 0) }
    return try await flight.run("look") { [access] in
      DeadLetterLook(letters: try await access.peek(DeadLetterLook.countMax), at: now, count: count)
    }
  }
}
