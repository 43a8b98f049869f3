internal import InMemoryReviewStore
internal import ReviewStore
internal import Synchronization

/// What happens to the statements of simulated processes on their way to the ledger and back.
struct LedgerLink: Sendable {
  let network: Network
  let scheduler: Scheduler

  /// After so long a caller gives up.
  private static let patience: Duration = .seconds(10)

  func request(_ statement: String) async -> InMemoryLedger.Interception {
    let process = scheduler.current
    guard process != 0 else { return .run }
    await network.delay()
    if network.isCut(process, .ledger, .requests) {
      _ = await network.wait(atMost: Self.patience) { network.isCut(process, .ledger, .requests) }
      return .fail(.unreachable)
    }
    if network.has(.ledgerStalled) {
      let isInTime = await network.wait(atMost: Self.patience) { network.has(.ledgerStalled) }
      if !isInTime { return .loseAnswer }
    }
    if network.has(.ledgerAway) { return .fail(.unreachable) }
    if network.has(.ledgerBusy), network.chance(0.7) { return .fail(.busy) }
    return .run
  }

  /// - Returns: false if the answer is lost.
  func answer(_ statement: String) async -> Bool {
    let process = scheduler.current
    guard process != 0 else { return true }
    // Half of all statements are heartbeats, and what their answers say is used at once.
    if statement != "heartbeat" { await network.delay() }
    if network.isCut(process, .ledger, .answers) {
      _ = await network.wait(atMost: Self.patience) { network.isCut(process, .ledger, .answers) }
      return false
    }
    return !network.has(.ledgerAway)
  }
}
