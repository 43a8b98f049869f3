internal import DequeModule
internal import PollExecutor
internal import Synchronization

/// Publishes that wait for the window, or for a connection. Filled from any task, emptied by the connection's thread.
///
/// It outlives connections: what was never written waits for the next one, until its deadline.
final class PublishQueue: Sendable {
  private struct State {
    var waiting: Deque<PublishRequest> = []
    /// Why nothing is accepted; nil while it is open.
    var closedReason: String?
    /// Why the connection does not take what waits, for the outcome of those that run out of time.
    var delayReason = "there is no connection to the broker"
    var wake: (@Sendable () -> Void)?
    /// Whether the connection will look here without being woken once more.
    var isAwaited = false
    var armed: ContinuousClock.Instant?
    /// The broker's reason for blocking publishers; nil while it does not.
    var blockedReason: String?
    /// The largest frame that the last connection agreed to.
    var frameByteMax = AMQPLimits.frameByteMax
    /// The broker's limit on a body, if it has refused a larger one.
    var bodyByteMax = Int.max
  }

  let window: AMQPPublishWindow
  private let executor: ThreadExecutor
  private let state = Mutex(State())

  init(window: AMQPPublishWindow, executor: ThreadExecutor) {
    self.window = window
    self.executor = executor
  }

  // MARK: The callers' side

  /// Why a message cannot be sent, whatever the state of the connection; nil if it can.
  func fault(of publication: AMQPPublication) -> String? {
    let (bodyByteMax, frameByteMax) = limits
    return AMQPLimits.fault(of: publication, bodyByteMax: bodyByteMax, frameByteMax: frameByteMax)
  }

  private var limits: (bodyByteMax: Int, frameByteMax: Int) {
    state.withLock { (min($0.bodyByteMax, window.bodyByteMax), $0.frameByteMax) }
  }

  /// Publishes one message and waits for its outcome, at most until the deadline.
  func publish(_ publication: AMQPPublication, deadline: ContinuousClock.Instant) async -> AMQPPublishOutcome {
    let (bodyByteMax, frameByteMax) = limits
    if let fault = AMQPLimits.fault(of: publication, bodyByteMax: bodyByteMax, frameByteMax: frameByteMax) {
      return .notSent(fault)
    }
    return await withCheckedContinuation { continuation in
      enqueue(
        CollectionOfOne(
          PublishRequest(
            publication: publication, frameByteMax: frameByteMax, deadline: deadline, sink: .single(continuation))))
    }
  }

  /// Publishes several messages in their order and waits for all outcomes.
  func publish(_ publications: [AMQPPublication], deadline: ContinuousClock.Instant) async -> [AMQPPublishOutcome] {
    guard !publications.isEmpty else { return [] }
    let (bodyByteMax, frameByteMax) = limits
    return await withCheckedContinuation { continuation in
      let batch = PublishBatch(count: publications.count, continuation: continuation)
      var requests: [PublishRequest] = []
      requests.reserveCapacity(publications.count)
      for (index, publication) in publications.enumerated() {
        if let fault = AMQPLimits.fault(of: publication, bodyByteMax: bodyByteMax, frameByteMax: frameByteMax) {
          batch.set(.notSent(fault), at: index)
        } else {
          requests.append(
            PublishRequest(
              publication: publication, frameByteMax: frameByteMax, deadline: deadline,
              sink: .batch(batch, index: index)))
        }
      }
      enqueue(requests)
    }
  }

  private func enqueue(_ requests: some Collection<PublishRequest>) {
    guard let deadline = requests.first?.deadline else { return }
    let (refusal, accepted, wake, mustArm) = state.withLock { state in
      let room = state.closedReason == nil ? max(0, window.waitingMax - state.waiting.count) : 0
      let accepted = min(room, requests.count)
      state.waiting.append(contentsOf: requests.prefix(accepted))
      let refusal = state.closedReason ?? "\(window.waitingMax) messages are waiting to be published already"
      let wake = state.isAwaited || accepted == 0 ? nil : state.wake
      if wake != nil { state.isAwaited = true }
      let mustArm = accepted > 0 && (state.armed.map { deadline < $0 } ?? true)
      if mustArm { state.armed = deadline }
      return (refusal, accepted, wake, mustArm)
    }
    for request in requests.dropFirst(accepted) { request.resume(.notSent(refusal)) }
    if mustArm { arm(deadline) }
    wake?()
  }

  // MARK: Deadlines

  private func arm(_ deadline: ContinuousClock.Instant) {
    _ = executor.schedule(after: max(.zero, deadline - .now)) { [weak self] in self?.expire() }
  }

  /// Refuses what has waited until its deadline, and arms the timer for the rest.
  private func expire() {
    let now = ContinuousClock.now
    let (expired, reason, next) = state.withLock { state in
      var expired: [PublishRequest] = []
      state.waiting.removeAll { request in
        if request.deadline <= now { expired.append(request) }
        return request.deadline <= now
      }
      state.armed = state.waiting.lazy.map(\.deadline).min()
      let blocked = state.blockedReason.map { "the broker blocks publishers (\($0))" }
      return (expired, blocked ?? state.delayReason, state.armed)
    }
    for request in expired { request.resume(.notSent("\(reason), and the time to wait for it was over")) }
    if let next { arm(next) }
  }

  // MARK: The connection's side

  /// Lets a connection take what waits. Its wake-up is called from any thread, once per `take` that found nothing.
  /// - Parameter frameByteMax: the largest frame of the connection.
  func attach(frameByteMax: Int = AMQPLimits.frameByteMax, wake: @escaping @Sendable () -> Void) {
    state.withLock { state in
      state.frameByteMax = frameByteMax
      state.wake = wake
      state.isAwaited = false
      state.delayReason = "the publish window is full"
    }
  }

  /// The connection is gone.
  func detach() {
    state.withLock { state in
      state.wake = nil
      state.isAwaited = false
      state.blockedReason = nil
      state.delayReason = "there is no connection to the broker"
    }
  }

  /// Stores why there is no connection, for the outcome of messages that time out.
  func setDelayReason(_ reason: String) {
    state.withLock { state in
      if state.wake == nil { state.delayReason = "there is no connection to the broker (\(reason))" }
    }
  }

  /// The broker blocks publishers (a memory or disk alarm), or nil: it does not any more.
  func setBlocked(_ reason: String?) { state.withLock { $0.blockedReason = reason } }

  /// Whether the broker blocks publishers.
  var isBlocked: Bool { state.withLock { $0.blockedReason != nil } }

  /// The broker has closed a channel because of a body larger than this: further ones are not sent.
  func lowerBodyLimit(to byteMax: Int) { state.withLock { $0.bodyByteMax = min($0.bodyByteMax, byteMax) } }

  /// Whether something waits. If nothing does, the next publish wakes the connection.
  var hasWaiting: Bool {
    state.withLock { state in
      if state.waiting.isEmpty { state.isAwaited = false }
      return !state.waiting.isEmpty
    }
  }

  /// Whether the connection was woken and has not looked yet, or left something behind.
  var isAwaited: Bool { state.withLock { $0.isAwaited } }

  /// The oldest request, if its body fits; one that is larger than the whole window fits if all of the window is free.
  func take(byteMax: Int) -> PublishRequest? {
    state.withLock { state in
      guard let first = state.waiting.first else {
        state.isAwaited = false
        return nil
      }
      state.isAwaited = true
      return min(first.byteCount, window.byteMax) <= byteMax ? state.waiting.removeFirst() : nil
    }
  }

  /// Refuses what waits and what comes.
  func close(reason: String) {
    let refused = state.withLock { state -> Deque<PublishRequest> in
      state.closedReason = reason
      defer { state.waiting = [] }
      return state.waiting
    }
    for request in refused { request.resume(.notSent(reason)) }
  }

  /// Accepts again.
  func open() { state.withLock { $0.closedReason = nil } }
}
