internal import CrashPoints
package import Logging
internal import Primitives
package import Resilience
package import ReviewQueue
package import ReviewStore
internal import Reviews
internal import Synchronization
package import Telemetry

/// Publishes the tickets of this process's claims, and stays with each until it is confirmed or the row is no longer this claim.
///
/// A ticket without a confirm is owed: it was refused, or its connection was lost and nothing says whether it is in the queue. Owed tickets
/// are published again, by this process and as soon as the broker takes them; the row decides, so that a second ticket does no harm. Their
/// reviews stay queued until then: a refused ticket needs no change of the row, and nothing new is claimed before the broker has taken it.
package final class ClaimPublisher: Sendable {
  struct State {
    var pace = SlowStart(ClaimPublisher.waits)
    var notice = FaultNotice()
    /// Since when and until when the broker took no tickets that reached it, and its last reason; nil if it takes them.
    var refusal: (since: ContinuousClock.Instant, last: ContinuousClock.Instant, reason: String)?
    /// Claims whose tickets were not confirmed.
    var owed: [Claim] = []
    /// Claims whose outcome is awaited.
    var inFlight: Set<Claim> = []
    /// Whether owed claims are among those in flight.
    var isRepeating = false
    /// When the next try is due, if claims are owed.
    var due: ContinuousClock.Instant
    /// The claims to look for, whose answer may have been lost.
    var search: ClaimSearch?
    /// Publishes what is owed, until nothing is.
    var settling: Task<Void, Never>?
    var isClosed = false
    var ready: Wakeup?
  }

  /// The waits while the broker takes nothing. Each try is a single ticket then, so that one a second costs little.
  private static let waits = Backoff(base: .milliseconds(200), max: .seconds(1))
  /// A lost connection leaves tickets owed until the next try: so long a refusal is not worth a report.
  private static let refusalMin: Duration = .seconds(5)
  /// A claim whose ticket is refused goes from process to process: one that has published nothing for so long does not know.
  private static let refusalMemory: Duration = .seconds(30)

  package let queue: any TicketQueue
  let ledger: any ReviewLedger
  let publications: PublicationLog
  let logger: Logger
  let state: Mutex<State>
  let environment: DispatchEnvironment
  /// Ends a wait of the task that settles.
  let wakeup: Wakeup
  private let metrics: BatonMetrics

  package init(
    queue: any TicketQueue, ledger: any ReviewLedger, environment: DispatchEnvironment = DispatchEnvironment(),
    metrics: BatonMetrics, logger: Logger
  ) {
    self.queue = queue
    self.ledger = ledger
    self.environment = environment
    state = Mutex(State(due: environment.now))
    wakeup = Wakeup(clock: environment.clock)
    publications = PublicationLog(ledger: ledger, environment: environment, logger: logger)
    self.metrics = metrics
    self.logger = logger
  }

  /// How many reviews may be claimed at present: none while tickets are owed, few while the broker takes few.
  package var claimAllowance: Int {
    state.withLock { $0.owed.isEmpty && !$0.isRepeating ? $0.pace.limit : 0 }
  }

  /// For how long the broker has confirmed no ticket that reached it, and its last reason; nil if it takes them, or has just begun to refuse.
  package var refusal: (age: Duration, reason: String)? {
    let now = environment.now
    return state.withLock { state in
      guard let refusal = state.refusal, now - refusal.since >= Self.refusalMin,
        now - refusal.last <= Self.refusalMemory
      else { return nil }
      return (now - refusal.since, refusal.reason)
    }
  }

  /// Wakes the producer whenever no ticket is owed any more.
  package func wakeWhenReady(_ wakeup: Wakeup) { state.withLock { $0.ready = wakeup } }

  /// Publishes a batch with all confirms in flight. What is not confirmed is owed, and published again later.
  /// - Returns: how many were confirmed.
  package func publish(_ claims: [Claim]) async -> Int {
    let now = state.withLock { state in
      let count = state.owed.isEmpty && !state.isRepeating ? min(claims.count, state.pace.limit) : 0
      state.owed += claims.dropFirst(count)
      state.inFlight.formUnion(claims.prefix(count))
      return Array(claims.prefix(count))
    }
    let confirmed = await tryToPublish(now, isRepeated: false)
    settleOwed()
    return confirmed
  }

  /// Returns when everything that was confirmed is recorded, or cannot be.
  package func finish() async { await publications.finish() }

  /// Publishes claims that are in flight already, as ``State/inFlight`` has it.
  /// - Returns: how many were confirmed.
  func tryToPublish(_ claims: [Claim], isRepeated: Bool) async -> Int {
    guard !claims.isEmpty else { return 0 }
    let start = environment.now
    let spans = PublishSpans(claims, queue: queue.name)
    let outcomes = await queue.publish(spans.messages)
    CrashPoint.confirmed.reached()
    spans.end(outcomes)
    let elapsed = environment.now - start
    var confirmed: [Claim] = []
    var missed: [Claim] = []
    var fault: TicketPublishOutcome?
    for (claim, outcome) in zip(claims, outcomes) {
      metrics.published(outcome.metric).increment()
      guard outcome == .confirmed else {
        missed.append(claim)
        fault = outcome
        continue
      }
      confirmed.append(claim)
      logger.debug("ticket published", metadata: .review(claim.reviewID, attempt: claim.attempt, claim.trace))
      metrics.publishConfirmSeconds.record(seconds: elapsed)
    }
    publications.add(confirmed)
    takeNote(of: claims, missed: missed, start: start, isRepeated: isRepeated)
    tell(fault, missed: missed.count, of: claims.count)
    return confirmed.count
  }

  private func takeNote(of claims: [Claim], missed: [Claim], start: ContinuousClock.Instant, isRepeated: Bool) {
    state.withLock { state in
      state.inFlight.subtract(claims)
      if isRepeated { state.isRepeating = false }
      state.owed += missed
      // Batches that were in flight together fail together, and count as one refusal.
      guard isRepeated || missed.isEmpty || state.pace.refusals == 0 else { return }
      var drawing = environment.random.drawing
      state.due =
        start + state.pace.tried(claims.count, accepted: claims.count - missed.count, using: &drawing)
    }
  }

  private func tell(_ fault: TicketPublishOutcome?, missed: Int, of count: Int) {
    let (isNews, isOver) = state.withLock { state in
      if missed < count {
        state.refusal = nil
      } else if let fault, !fault.isUnsent {
        let now = environment.now
        let known = state.refusal.flatMap { now - $0.last <= Self.refusalMemory ? $0.since : nil }
        state.refusal = (known ?? now, now, fault.reason)
      }
      return (
        fault.map { state.notice.failed($0.reason, at: environment.now) } ?? false,
        state.owed.isEmpty && state.notice.worked(at: environment.now)
      )
    }
    if isNews, let fault {
      logger.warning(
        "\(missed) of \(count) tickets were not confirmed: their reviews stay queued, and are published again until they are",
        metadata: ["outcome": "\(fault.reason)"])
    }
    if isOver { logger.notice("the broker takes tickets again") }
  }
}

extension TicketPublishOutcome {
  fileprivate var metric: BatonMetrics.PublishResult {
    switch self {
    case .confirmed: .confirmed
    case .nacked: .nacked
    case .returned: .returned
    case .unknown, .notSent: .failed
    }
  }

  /// Without a connection there is nobody who refuses.
  fileprivate var isUnsent: Bool { if case .notSent = self { true } else { false } }

  /// For the log.
  fileprivate var reason: String {
    switch self {
    case .confirmed: "confirmed"
    case .nacked: "nacked: the queue is full, or cannot take messages"
    case .returned(let code, let text): "returned: \(code) \(text)"
    case .unknown(let reason): "unknown: \(reason)"
    case .notSent(let reason): "not sent: \(reason)"
    }
  }
}
