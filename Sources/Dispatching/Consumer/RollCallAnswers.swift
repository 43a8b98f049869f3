internal import FoundationEssentials
internal import Logging
internal import Primitives
internal import ReviewQueue
internal import ReviewStore
internal import Reviews

/// Answers the reapers' roll calls for one consumer; see ``ReviewStore/ReviewStore/openRollCall(_:heartbeatTimeout:)``.
struct RollCallAnswers {
  let ledger: any ReviewLedger
  let subscription: any TicketSubscription
  let census: TicketCensus
  let holder: Holder.ID
  let holderState: HolderState
  let environment: DispatchEnvironment
  let logger: Logger
  /// The latest time at which a delivery can have gone back to the queue.
  private var lastGivenBack: Timestamp?
  /// Whether one has gone back for which that time is not noted yet.
  private var hasGivenBack = false

  private static let interval: Duration = .seconds(1)
  /// How long deliveries that have arrived may take to be read.
  private static let readingMax: Duration = .milliseconds(500)

  init(
    ledger: any ReviewLedger, subscription: any TicketSubscription, census: TicketCensus, holder: Holder.ID,
    holderState: HolderState, environment: DispatchEnvironment, logger: Logger
  ) {
    self.ledger = ledger
    self.subscription = subscription
    self.census = census
    self.holder = holder
    self.holderState = holderState
    self.environment = environment
    self.logger = logger
  }

  /// Answers every second what the heartbeats have found to be asked, until the task is cancelled.
  mutating func run() async {
    while (try? await environment.sleep(for: Self.interval)) != nil {
      do {
        try await answer()
      } catch {
        // What is not answered now is answered at the next look; a connection that is gone is reported elsewhere.
        logger.debug("roll calls not answered", metadata: ["error": "\(error)"])
      }
    }
  }

  private mutating func answer() async throws {
    if census.takeGivenBack(subscription.channel) { hasGivenBack = true }
    // What was rejected is in the queue again when the broker has answered, which is before the time that is read next.
    if hasGivenBack { _ = try? await subscription.catchUp() }
    guard hasGivenBack || holderState.isAsked else { return }
    let (now, ids) = try await ledger.unansweredRollCalls(of: holder, after: lastGivenBack)
    // A time of the future is of a server whose clock was ahead. What was opened since by this one's clock would not be answered for long.
    if let last = lastGivenBack, last > now { hasGivenBack = true }
    guard !hasGivenBack else {
      lastGivenBack = now
      hasGivenBack = false
      return
    }
    guard !ids.isEmpty, let undecided = try await undecidedByNow() else { return }
    try await ledger.answerRollCalls(ids, by: holder, undecided: undecided)
  }

  /// The reviews whose undecided tickets this process has, among all that the broker had sent it when this was called.
  /// - Returns: nil if that cannot be said now.
  private func undecidedByNow() async throws -> [UUID]? {
    let position = try await subscription.catchUp()
    let deadline = environment.now + Self.readingMax
    while true {
      if let undecided = census.undecided(upTo: position, subscription.channel) { return undecided }
      guard try await census.waitForDelivery(until: deadline) else { return nil }
    }
  }
}
