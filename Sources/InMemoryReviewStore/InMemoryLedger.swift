internal import FoundationEssentials
package import Primitives
package import Resilience
package import ReviewStore
internal import Reviews
internal import Synchronization

/// A ledger in memory, for tests and simulations: the executable specification of `ReviewStore`'s SQL.
///
/// Every function is one statement: it runs alone, at one instant of the injected clock, and no two statements run at the same instant. It
/// has the same conditions as the SQL; one conformance suite runs against both. A hook decides before each statement whether it fails, or
/// is carried out and its answer is lost.
///
/// It does without what only makes the SQL fast or safe for other writers: visits of owners, a limit for pages of owners, integrations, the
/// rules for names, feedback.
package final class InMemoryLedger: ReviewLedger {
  private let stored: Mutex<StoredTables>
  private let clock: @Sendable () -> Timestamp
  private let intercept: Intercept
  private let answer: AnswerFilter
  /// Of its waits, and of the instants that callers give it.
  let monotonicClock: any MonotonicClock
  /// Of the ids of new reviews.
  let random: RandomSource

  /// Decides on each statement, by its name in `ReviewStore.statements`.
  package typealias Intercept = @Sendable (_ statement: String) async -> Interception

  /// Awaited when a statement was carried out, before its caller gets the answer.
  /// - Returns: false if the answer is lost.
  package typealias AnswerFilter = @Sendable (_ statement: String) async -> Bool

  /// What happens to a statement.
  package enum Interception: Sendable, Equatable {
    case run
    /// It is not carried out, and fails in this way.
    case fail(LedgerFaultKind)
    /// It is carried out, and its caller cannot know it.
    case loseAnswer
  }

  /// - Parameters:
  ///   - clock: the ledger's time. It may stand still: statements are a microsecond apart then.
  ///   - monotonicClock: of the waits between sessions, and of the instants that callers give it.
  ///   - random: of the ids of new reviews.
  ///   - mayCrash: whether ``crash(losing:)`` may be called: then what was there before the last commits is kept.
  ///   - intercept: asked before each statement.
  ///   - answer: asked after each statement.
  package init(
    clock: @escaping @Sendable () -> Timestamp = InMemoryLedger.systemClock,
    monotonicClock: any MonotonicClock = ContinuousClock(), random: RandomSource = RandomSource(),
    mayCrash: Bool = true, intercept: @escaping Intercept = { _ in .run },
    answer: @escaping AnswerFilter = { _ in true }
  ) {
    stored = Mutex(StoredTables(keepsUnwritten: mayCrash))
    self.clock = clock
    self.monotonicClock = monotonicClock
    self.random = random
    self.intercept = intercept
    self.answer = answer
  }

  /// This machine's clock.
  package static let systemClock: @Sendable () -> Timestamp = { .processNow }

  /// Runs one statement.
  func run<Result: Sendable>(
    _ statement: String, _ body: (inout LedgerTables) throws -> Result
  ) async throws -> Result {
    let interception = await intercept(statement)
    if case .fail(let kind) = interception { throw InMemoryFault(faultKind: kind, statement: statement) }
    let result = try change(statement, body)
    let isAnswered = await answer(statement)
    if interception == .loseAnswer || !isAnswered { throw InMemoryFault(faultKind: .unreachable, statement: statement) }
    return result
  }

  /// Changes the tables at the next instant, then notifies the sessions. A body throws before it changes anything.
  func change<Result: Sendable>(
    _ statement: String = "", _ body: (inout LedgerTables) throws -> Result
  ) throws -> Result {
    let (result, notifications) = try stored.withLock { stored in
      stored.tables.now = max(clock(), Timestamp(microseconds: stored.tables.now.microseconds + 1))
      stored.willRun(statement)
      let result = try body(&stored.tables)
      defer { stored.tables.notifications = [] }
      return (result, stored.tables.notifications)
    }
    for (event, sessions) in notifications { for session in sessions { session.notify(event) } }
    return result
  }

  /// Loses what a Postgres that ends at once loses: the last commits that did not wait for the disk. All sessions end. Only of a ledger that may
  /// crash.
  /// - Parameter time: how much of them; commits that are older are on disk.
  package func crash(losing time: Duration) {
    stored.withLock { $0.lose(time) }
    cutSessions()
  }

  package func now() async throws -> Timestamp { try await run("now") { $0.now } }

  package func close() async {}
}

/// A failure of the ledger in memory.
package struct InMemoryFault: LedgerFault, Equatable {
  package var faultKind: LedgerFaultKind
  /// The name of the statement.
  package var statement: String

  package var description: String { "statement \(statement): \(faultKind)" }
}
