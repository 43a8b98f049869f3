internal import Resilience
internal import Telemetry

extension Consumer {
  /// Looks after what no single delivery sees, until the task is cancelled.
  func watch() async {
    while !Task.isCancelled {
      try? await environment.sleep(for: .seconds(1))
      metrics.inflightReviews.set(inFlight.count)
      metrics.circuitOpen(.worker).set(circuit.outage() == nil ? 0 : 1)
      await keys.lookAgainIfWrong()
      await watchOnce()
    }
  }

  /// While Postgres does not answer, finds out whether it does again, until the task is cancelled: the deliveries whose statements would show it
  /// may be gone, as after a new channel.
  func lookForPostgres() async {
    while (try? await environment.sleep(for: .seconds(1))) != nil {
      // In that pause each look at the deliveries asks.
      if databaseOutage.isUnwatched, consumption.pause != .databaseAway { _ = await isDatabaseBack() }
    }
  }

  /// Stops or goes on taking deliveries, as things are now.
  func watchOnce() async {
    await consumption.keepConsuming(
      { await self.sight() }, reasons: (keys.fault, circuit.reason), receivedCount: { inFlight.receivedCount })
  }

  /// What decides whether deliveries are taken; nil while this process shuts down.
  private func sight() async -> ConsumptionMonitor.Sight? {
    guard !isDraining else { return nil }
    var sight = ConsumptionMonitor.Sight()
    sight.receivedCount = inFlight.receivedCount
    sight.hasRoom = inFlight.count + inFlight.undecidedCount < policy.prefetch
    sight.isKeyWrong = keys.fault != nil
    sight.isCircuitOpen = circuit.openFor != nil
    sight.isWorkerUnproven = circuit.outage() != nil
    sight.isHolderAway = holderState.isAway
    sight.outage = databaseOutage.duration
    if consumption.pause == .databaseAway { sight.isDatabaseBack = await isDatabaseBack() }
    return sight
  }

  /// By a lease of nothing: it needs what every lease needs. Postgres may answer, and the table be locked for a migration.
  private func isDatabaseBack() async -> Bool {
    await databaseOutage.untilItWorks("looking for Postgres", while: { _ in false }) { try await lease([]) } != nil
  }
}
