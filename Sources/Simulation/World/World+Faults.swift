internal import InMemoryReviewQueue
internal import InMemoryReviewStore
internal import ReviewQueue

// How faults are inflicted.
extension World {
  func inflict(_ fault: InjectedFault) async {
    recorder.note(.began(fault))
    switch fault.kind {
    case .kill(let place, let afterJobs): return kill(at: place, afterJobs, fault)
    case .stop(let place): return await stop(at: place, fault)
    case .pause(let place): return await pause(at: place, fault)
    case .vanish(let place): return await vanish(at: place, fault)
    case .cut(let place, .broker, _): return await cutBroker(at: place, fault)
    case .queuePurged: queue.purge()
    case .queueDeleted: queue.delete()
    case .deliveriesStalled: queue.stall()
    case .rowLocked(let number): if let id = id(of: number) { ledger.lock([id]) }
    case .ledgerAway: ledger.crash(losing: network.duration(.zero ... .milliseconds(600)))
    case .brokerAway: queue.disconnect()
    case .brokerBlocked: queue.block()
    case .cut, .callbacksLost, .callbackAnswersLost, .ledgerBusy, .ledgerStalled, .publishesRefused, .publishesReturned,
      .confirmsLost,
      .workerAway, .workerSlow, .workerHidden, .workerThrottles:
      break
    }
    guard fault.duration > .zero else { return }
    network.begin(fault)
    try? await scheduler.sleep(for: fault.duration)
    network.end(fault)
    heal(fault)
    recorder.note(.healed(fault))
  }

  private func heal(_ fault: InjectedFault) {
    guard !network.has(fault.kind) else { return }
    switch fault.kind {
    case .rowLocked: ledger.unlock()
    case .brokerAway:
      queue.reconnect()
      for process in processes { process.brokerIsBack() }
    case .brokerBlocked: queue.unblock()
    default: break
    }
  }

  // MARK: Processes

  private func kill(at place: InjectedFault.Place, _ afterJobs: Int, _ fault: InjectedFault) {
    guard let process = process(at: place) else { return }
    scheduler.afterJobs(afterJobs, of: process.id) { [self] in
      guard self.process(at: place) === process else { return }
      _ = kill(at: place)
      startLater(at: place, after: fault.duration)
    }
  }

  private func startLater(at place: InjectedFault.Place, after delay: Duration) {
    scheduler.spawn(as: 0) { [self] in
      try? await scheduler.sleep(for: delay)
      if process(at: place) == nil { startProcess(at: place) }
    }
  }

  private func stop(at place: InjectedFault.Place, _ fault: InjectedFault) async {
    guard let process = process(at: place) else { return }
    await process.stop()
    for _ in 0..<120 {
      try? await scheduler.sleep(for: .milliseconds(500))
      if process.hasEnded || self.process(at: place) !== process { break }
    }
    remove(process)
    try? await scheduler.sleep(for: fault.duration)
    if self.process(at: place) == nil { startProcess(at: place) }
  }

  private func pause(at place: InjectedFault.Place, _ fault: InjectedFault) async {
    guard let process = process(at: place) else { return }
    scheduler.pause(process.id)
    // Its connections stay open, as those of a stopped process do.
    try? await scheduler.sleep(for: fault.duration)
    scheduler.resume(process.id)
    recorder.note(.healed(fault))
  }

  /// The broker notices by its heartbeats that no process answers there; Postgres does not notice.
  private func vanish(at place: InjectedFault.Place, _ fault: InjectedFault) async {
    guard let process = take(from: place) else { return }
    scheduler.kill(process.id)
    try? await scheduler.sleep(for: fault.duration)
    if self.process(at: place) == nil { startProcess(at: place) }
    try? await scheduler.sleep(for: network.duration(.seconds(8) ... .seconds(20)))
    process.subscription?.inner.disconnect()
  }

  /// The broker notices the loss by its heartbeats, some seconds later.
  private func cutBroker(at place: InjectedFault.Place, _ fault: InjectedFault) async {
    network.begin(fault)
    let noticed = network.duration(.seconds(1) ... .seconds(12))
    let victim = process(at: place)
    if noticed < fault.duration {
      try? await scheduler.sleep(for: noticed)
      victim?.subscription?.inner.disconnect()
      try? await scheduler.sleep(for: fault.duration - noticed)
    } else {
      try? await scheduler.sleep(for: fault.duration)
    }
    network.end(fault)
    recorder.note(.healed(fault))
    guard let victim, process(at: place) === victim else { return }
    if noticed < fault.duration { victim.subscription?.inner.reconnect() }
    victim.brokerIsBack()
  }
}
