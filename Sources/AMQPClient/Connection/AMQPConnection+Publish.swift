internal import PollExecutor

// Publishing: what waits in the queue goes out as far as the window allows, and confirms settle it.
extension AMQPConnection {
  /// The socket is asked for room again after this many bytes: more than its smallest buffer is never written blindly.
  private static let writeStep = 16_384

  /// Opens the main channel, selects confirms and publishes what the queue holds from now on.
  func startPublishing(_ queue: PublishQueue) async throws(AMQPError) {
    try await openMainChannel()
    _ = try await call(.selectConfirms, on: Self.mainChannel)
    // Gone while the answer was on its way to this task.
    guard handle != nil, channels[Self.mainChannel] != nil else {
      throw loss ?? AMQPError(operation: "select publisher confirms", text: "the channel is closed", scope: .channel)
    }
    publishing = Publishing(queue: queue)
    queue.attach(frameByteMax: frameByteMax) { [weak self] in self?.wakeUp() }
    if isBlocked { queue.setBlocked("an alarm is in force") }
    pump()
  }

  /// Writes what waits, as far as window, socket and broker allow.
  func pump() {
    guard !isBlocked, !isClosing, let queue = publishing?.queue, queue.hasWaiting else { return }
    handle?.holdBack(true)
    defer { handle?.holdBack(false) }
    let window = queue.window
    var unchecked = Self.writeStep
    // The counts, never the ledger: with a second reference, every registration would copy it.
    while let count = publishing?.ledger.unsettledCount, count < window.messageMax {
      if unchecked >= Self.writeStep {
        guard canWrite() else { return }
        unchecked = 0
      }
      let byteCount = publishing?.ledger.unsettledByteCount ?? 0
      guard let request = queue.take(byteMax: window.byteMax - byteCount) else { return }
      write(request)
      unchecked += request.byteCount + 512
    }
  }

  private func write(_ request: PublishRequest) {
    // It was accepted before this connection agreed on smaller frames. Half a message on the wire would end the connection.
    if request.frameByteMax > frameByteMax,
      let fault = AMQPLimits.fault(ofPropertiesOf: request.publication.message, frameByteMax: frameByteMax)
    {
      return request.resume(.notSent(fault))
    }
    if publishing?.ledger.unsettledCount == 0 { publishing?.progressAt = .now }
    // Entered before it is written: a confirm must never come for a tag that is not known yet.
    _ = publishing?.ledger.register(request, byteCount: request.byteCount, deadline: request.deadline)
    armConfirmDeadline(request.deadline)
    watchConfirms()
    do {
      try handle?.publish(request.publication, channel: Self.mainChannel)
    } catch {
      lose(error)
    }
  }

  /// Takes a confirm.
  func settlePublishes(_ tag: UInt64, multiple: Bool, isAcknowledged: Bool) {
    publishing?.progressAt = .now
    publishing?.ledger.settle(tag: tag, multiple: multiple, isAcknowledged: isAcknowledged) { $0.resume($1) }
    if publishing?.refusals.settled(isAcknowledged: isAcknowledged, at: .now) == true {
      eventSink.yield(.rebuildChannel)
    }
  }

  // MARK: Deadlines

  /// One timer serves all: it is set for the earliest deadline, and again when it has fired.
  private func armConfirmDeadline(_ deadline: ContinuousClock.Instant) {
    guard publishing?.armed.map({ deadline < $0 }) ?? true else { return }
    publishing?.armed = deadline
    let epoch = self.epoch
    _ = executor.schedule(after: max(.zero, deadline - .now)) { [weak self] in
      self?.assumeIsolated { $0.expireConfirms(epoch: epoch) }
    }
  }

  private func expireConfirms(epoch: Int) {
    guard epoch == self.epoch, publishing != nil else { return }
    let next = publishing?.ledger.expire(now: .now, reason: "the broker did not confirm it in time") { $0.resume($1) }
    publishing?.armed = nil
    if let next { armConfirmDeadline(next) }
  }

  // MARK: Confirms that do not come

  /// Has a timer look whether confirms come, for as long as some are due.
  private func watchConfirms() {
    guard publishing?.isWatched == false else { return }
    publishing?.isWatched = true
    armConfirmWatch(after: configuration.confirmTimeout)
  }

  private func armConfirmWatch(after delay: Duration) {
    let epoch = self.epoch
    _ = executor.schedule(after: delay) { [weak self] in self?.assumeIsolated { $0.lookForConfirms(epoch: epoch) } }
  }

  /// Gives the connection up if confirms are due and none has come for too long: the broker is stuck, or the link carries nothing
  /// more. The next connection publishes.
  private func lookForConfirms(epoch: Int) {
    guard epoch == self.epoch, let unsettledCount = publishing?.ledger.unsettledCount else { return }
    guard unsettledCount > 0 else {
      publishing?.isWatched = false
      return
    }
    // During an alarm the broker reads nothing; it confirms when the alarm is over.
    if isBlocked { publishing?.progressAt = .now }
    let timeout = configuration.confirmTimeout
    let silence = ContinuousClock.now - (publishing?.progressAt ?? .now)
    guard silence < timeout else {
      return lose(.lost("publish", "the broker confirmed none of the messages in flight within \(timeout)"))
    }
    armConfirmWatch(after: timeout - silence)
  }

  // MARK: Closing

  /// Waits until no confirm is due, at most the RPC timeout.
  func awaitConfirms() async {
    guard let publishing, publishing.ledger.unsettledCount > 0 else { return }
    let timer = executor.schedule(after: configuration.rpcTimeout) { [weak self] in
      self?.assumeIsolated { $0.resumeConfirmWaiters() }
    }
    await withCheckedContinuation { confirmWaiters.append($0) }
    executor.cancel(timer)
  }

  func resumeConfirmWaitersWhenIdle() {
    guard !confirmWaiters.isEmpty, publishing?.ledger.unsettledCount ?? 0 == 0 else { return }
    resumeConfirmWaiters()
  }

  func resumeConfirmWaiters() {
    let waiters = confirmWaiters
    confirmWaiters = []
    for waiter in waiters { waiter.resume() }
  }
}
