internal import Platforms
internal import Resilience
internal import ReviewStore
internal import Reviews
internal import WorkerAPI
internal import WorkerClient

/// Decides what an attempt does next: what has happened comes in, the next action comes out. It knows no server, no task and no clock.
///
/// `Consumer+Attempt.swift` carries the actions out. In the usual order: enter, prepare, confirm, admit, call, conclude; the questions come if
/// the worker may have been called without a clear answer.
struct AttemptMachine: Sendable {
  /// What to do next; each is answered by the event of the same name.
  enum Action: Sendable, Equatable {
    /// Take a place among the reviews that are prepared here, or in a group that is isolated from them, of this size at most.
    case enter(group: Int?)
    case prepare
    /// Look at the row: is the lease still this one, and the review still wanted?
    case confirm
    /// Wait until the worker's circuit lets a call through.
    case admit
    case call(PreparedPayload)
    /// Ask the worker what it knows of the attempt.
    case ask
    /// Ask the worker for the end that it has reported: the answer of a start lacks what was used up, and what was found.
    case askForEnd
    case conclude(AttemptOutcome)
  }

  /// How preparing ended.
  enum Preparation: Sendable {
    case ready(PreparedPayload)
    /// - Parameter isKeyWrong: whether this process has a wrong key, and not only none for this row.
    case failed(PreparationError, isKeyWrong: Bool)
    case tookTooLong
    case interruptedByShutdown
  }

  /// Whether the worker may be called.
  enum Admission: Sendable, Equatable {
    case admitted
    /// The worker is unavailable.
    case refused(reason: String)
  }

  private enum Stage {
    /// An earlier start may have reached the worker.
    case clearing
    case preparing
    case confirming(PreparedPayload)
    case admitting(PreparedPayload)
    case confirmingAgain(PreparedPayload)
    case calling(PreparedPayload)
    case asking(String, isAnswer: Bool)
    case ended(StartResponse, PreparedPayload)
  }

  /// How many of a review's last chances are isolated. A review that has only so many holders left to lose may be what ends them: it is prepared
  /// isolated from the others, so that these lose no further lease. Not sooner: most have only been near the one that ends its holders, or lost
  /// theirs for other reasons, and an isolated preparation waits until all others have ended.
  static let isolatedChances = 3
  /// Until a review is claimed again that came while others were prepared isolated, or waited for that.
  static let isolationDelay: Duration = .seconds(1)
  /// Until a review whose token needs a key that is not here is tried again.
  static let keyDelay: Duration = .seconds(60)
  /// If the row was read more recently than this, a second look would show nothing new.
  static let freshness: Duration = .milliseconds(100)
  /// If permission to call took longer than this, the row is looked at again.
  static let lookTime: Duration = .milliseconds(400)

  let attempt: Attempt
  private let policy: DispatchPolicy
  private var stage = Stage.clearing
  private var preparedAt: ContinuousClock.Instant

  init(_ attempt: Attempt, policy: DispatchPolicy) {
    self.attempt = attempt
    self.policy = policy
    preparedAt = attempt.leasedAt
  }

  // MARK: Before it is prepared

  /// - Parameter isolationGroup: the reviews that are prepared isolated here, or wait for that; nil if there are none.
  mutating func begin(isolationGroup: SharedExclusiveLock.Group?) -> Action {
    attempt.ambiguousStarts > 0 ? .admit : enter(isolationGroup)
  }

  /// If others are prepared isolated, or wait for that, this review is postponed instead of waiting: if one of them ends the process, every
  /// lease held here counts as lost. A suspect joins others of as many losses, while there is room for it.
  private mutating func enter(_ isolationGroup: SharedExclusiveLock.Group?) -> Action {
    stage = .preparing
    if let isolationGroup, isolationGroup.max != group || isolationGroup.count >= isolationGroup.max {
      return .conclude(.postponed("other reviews are prepared apart here", for: .exactly(Self.isolationDelay)))
    }
    return .enter(group: group)
  }

  /// How many may be prepared together with this review; nil if it is no suspect. The size halves with each loss: at its last chance a
  /// review is alone.
  private var group: Int? {
    let losses = attempt.review?.leaseLosses ?? 0
    // Beyond the present one.
    let chancesLeft = max(policy.failureMax - 1 - losses, 0)
    guard losses > 0, chancesLeft < Self.isolatedChances else { return nil }
    return 1 << chancesLeft
  }

  /// - Parameters:
  ///   - keyFault: what is wrong with this process's key; nil if it fits.
  ///   - worker: whether the worker is known to be unavailable: preparing would be useless. The review then comes back soon, and waits in the
  ///     queue: it is dispatched as soon as the worker is back, or by another process that reaches it.
  func entered(keyFault: String?, worker: Admission) -> Action {
    if let keyFault { return .conclude(.postponed(keyFault, for: .short(), keepsPlace: false)) }
    if case .refused(let reason) = worker { return .conclude(.postponed(reason, for: .short())) }
    return .prepare
  }

  // MARK: From the payload to the call

  mutating func prepared(_ preparation: Preparation, at now: ContinuousClock.Instant) -> Action {
    switch preparation {
    case .ready(let payload):
      preparedAt = now
      guard now - attempt.leasedAt > Self.freshness else { return admit(payload) }
      stage = .confirming(payload)
      return .confirm
    case .interruptedByShutdown: return .conclude(.postponedAtShutdown)
    case .tookTooLong: return .conclude(.retry("preparing the payload took longer than \(policy.preparationMax)"))
    case .failed(.permanent(let code, let message), _): return .conclude(.failed(code, message))
    case .failed(.transient(let message, let wait?), _):
      return .conclude(.postponed(message, for: .exactly(wait), keepsPlace: false))
    case .failed(.transient(let message, nil), _): return .conclude(.retry(message))
    case .failed(.outage(_, let message, let wait), _):
      return .conclude(.postponed(message, for: wait.map { .exactly($0) } ?? .short(), keepsPlace: false))
    case .failed(.keyMissing(let message), let isKeyWrong):
      // With a wrong key, this process takes nothing more, and another one has the review soon. If only this row's key is missing, the
      // review waits for the operator.
      return .conclude(.postponed(message, for: isKeyWrong ? .short() : .exactly(Self.keyDelay), keepsPlace: false))
    }
  }

  private mutating func admit(_ payload: PreparedPayload) -> Action {
    stage = .admitting(payload)
    return .admit
  }

  mutating func confirmed(isWanted: Bool) -> Action {
    guard isWanted else { return .conclude(.supersededByRow) }
    switch stage {
    case .confirming(let payload): return admit(payload)
    case .confirmingAgain(let payload): return call(payload)
    case .clearing, .preparing, .admitting, .calling, .asking, .ended: return unexpected
    }
  }

  mutating func admitted(_ admission: Admission, at now: ContinuousClock.Instant) -> Action {
    switch (stage, admission) {
    case (.clearing, .admitted): return .ask
    case (.clearing, .refused(let reason)): return .conclude(.ambiguous(reason, isCounted: false))
    case (_, .refused(let reason)): return .conclude(.postponed(reason, for: .short()))
    case (.admitting(let payload), .admitted):
      guard now - attempt.leasedAt < policy.callableTime else {
        return .conclude(.postponed("its lease would end while the worker is called", for: .short()))
      }
      // Permission to call may have taken long, while another review probed the worker.
      guard now - preparedAt > Self.freshness + Self.lookTime else { return call(payload) }
      stage = .confirmingAgain(payload)
      return .confirm
    case (_, .admitted): return unexpected
    }
  }

  private mutating func call(_ payload: PreparedPayload) -> Action {
    stage = .calling(payload)
    return .call(payload)
  }

  // MARK: What the worker says

  /// - Parameter hasGivenUpCalls: whether this process's drain waits for no call to the worker any more.
  mutating func called(_ answer: DispatchOutcome, hasGivenUpCalls: Bool) -> Action {
    switch answer {
    case .dispatched(let response):
      guard case .calling(let payload) = stage else { return unexpected }
      return started(response, payload)
    case .unavailable(let message):
      return .conclude(.postponed("the worker cannot be reached: \(message)", for: .short()))
    case .throttled(let wait, let message):
      return .conclude(.postponed("the worker throttles: \(message)", for: .short(after: wait ?? .zero)))
    case .outage(let message):
      return .conclude(.postponed("not an answer of the worker's own: \(message)", for: .short()))
    case .again(let message): return .conclude(.postponed("the worker asks for it again: \(message)", for: .short()))
    case .refused(let message): return .conclude(.failed(.workerRejected, message))
    case .ambiguous(let message, let isAnswer):
      if hasGivenUpCalls {
        return .conclude(.ambiguous("handed back at shutdown while the worker was called", isCounted: false))
      }
      stage = .asking(message, isAnswer: isAnswer)
      return .ask
    }
  }

  /// A start that is answered with a later state than queued counts as a callback.
  private mutating func started(_ response: StartResponse, _ payload: PreparedPayload) -> Action {
    let status = response.status.reviewStatus
    guard status.isTerminal else {
      return dispatched(response, payload, status == .queued ? nil : report(status))
    }
    stage = .ended(response, payload)
    return .askForEnd
  }

  /// - Parameter run: what the worker answered about the attempt's end; nil if it did not.
  func askedForEnd(_ run: RunStatus?) -> Action {
    guard case .ended(let response, let payload) = stage else { return unexpected }
    if let run, run.attempt == attempt.lease.attempt, run.status.reviewStatus.isTerminal {
      return dispatched(response, payload, RunReport(run))
    }
    return dispatched(response, payload, report(response.status.reviewStatus))
  }

  private func report(_ status: ReviewStatus) -> RunReport {
    RunReport(status: status, attempt: attempt.lease.attempt)
  }

  private func dispatched(_ response: StartResponse, _ payload: PreparedPayload, _ report: RunReport?) -> Action {
    .conclude(
      .dispatched(
        agentVersion: response.agentVersion ?? payload.agentVersion, report: report, prepared: preparedAt))
  }

  /// The worker was asked, instead of starting an attempt that it may have (I2).
  ///
  /// If it does not have the attempt, it is started again. Its ambiguous starts stay with it: a start whose caller has given up may still
  /// arrive. So it never goes back to pending, where it would have no slot of its owner's (I3).
  /// - Parameter isolationGroup: see ``begin(isolationGroup:)``.
  mutating func asked(
    _ evidence: WorkerEvidence, isolationGroup: SharedExclusiveLock.Group?, at now: ContinuousClock.Instant
  )
    -> Action
  {
    switch (stage, evidence) {
    case (_, .known(let run)) where run.attempt == attempt.lease.attempt:
      if case .clearing = stage { preparedAt = now }
      return .conclude(
        .dispatched(
          agentVersion: nil, report: run.status.reviewStatus == .queued ? nil : RunReport(run), prepared: preparedAt))
    case (.clearing, .known), (.clearing, .unknown): return enter(isolationGroup)
    case (.clearing, .failed(let message)):
      return .conclude(
        .ambiguous(
          "an earlier start may have succeeded, and the worker could not be asked: \(message)", isCounted: false))
    case (.asking(let message, _), .known):
      return .conclude(.ambiguous("\(message); the worker has another attempt", isCounted: true))
    case (.asking(let message, let isAnswer), .unknown(let isProven)):
      // An unclear answer of a start counts as a failure, so that a worker which always gives one exhausts the attempts. No answer does
      // not count.
      return .conclude(
        .ambiguous(
          "\(message); the worker does not know the review" + (isProven ? "" : ", as far as it can be asked"),
          isCounted: isProven || isAnswer))
    case (.asking(let message, _), .failed(let second)):
      return .conclude(
        .ambiguous("\(message); asked about it, the worker failed too: \(second)", isCounted: false))
    case (_, .known), (_, .unknown), (_, .failed): return unexpected
    }
  }

  /// An event that does not belong to the stage: the driver has a fault. Nothing is decided about the review.
  private var unexpected: Action {
    assertionFailure("an event that does not belong to the stage \(stage)")
    return .conclude(.ambiguous("an internal fault: an event came out of order", isCounted: false))
  }
}
