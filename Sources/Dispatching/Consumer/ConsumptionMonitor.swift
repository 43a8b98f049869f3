/// Decides whether deliveries are taken, and proves that a consumer which is connected does consume (I9): what was seen comes in, what to do
/// comes out. It knows no server, no task and no clock; it is asked once a second.
struct ConsumptionMonitor: Sendable {
  /// Why no deliveries are taken: nothing could be done with them.
  enum Pause: Sendable, Equatable, CaseIterable {
    case keyMissing
    case circuitOpen
    case holderAway
    case databaseAway
  }

  /// What was seen at a look.
  struct Sight: Sendable {
    /// Deliveries received since the start.
    var receivedCount = 0
    /// Whether there is room for more deliveries.
    var hasRoom = true
    var isKeyWrong = false
    var isCircuitOpen = false
    /// Whether the worker was unavailable, and no call has succeeded since.
    var isWorkerUnproven = false
    var isHolderAway = false
    /// For how long Postgres has not answered; nil if it does.
    var outage: Duration?
    /// Whether Postgres does again what a lease needs; asked only while deliveries are paused because it did not.
    var isDatabaseBack = false
  }

  enum Action: Sendable, Equatable {
    case pause(Pause)
    case resume
    /// Take one delivery at a time: its call shows whether the worker is back.
    case probe
    /// Ask how many messages are ready in the queue, and call ``looked(ready:receivedCount:)``.
    case look
  }

  /// What a consumer does that is connected and receives nothing although messages are ready.
  enum Repair: Sendable, Equatable {
    case rebuildChannel
    case rebuildConnection
  }

  /// Seconds between looks at the queue. Two silent looks make it ten seconds until the channel is rebuilt.
  static let lookInterval = 5
  /// For how long Postgres may be unreachable before all deliveries are sent back to the queue.
  static let outageMax: Duration = .seconds(60)

  /// Why deliveries are paused; nil if they are taken.
  private(set) var pause: Pause?
  /// Whether one delivery at a time is taken, until the worker is back.
  private(set) var isProbing = false
  /// Looks in a row that found messages ready, room for them, and none delivered.
  private(set) var silentLooks = 0
  private var secondsToLook = Self.lookInterval
  /// Deliveries received by the last look.
  private var receivedByLook = 0

  /// What is wrong with consuming; nil if nothing is.
  func fault(isConnected: Bool) -> String? {
    if pause == .databaseAway { return "deliveries were requeued because Postgres does not answer" }
    if silentLooks > 0 { return "connected, but nothing is delivered although messages are ready" }
    return isConnected || pause != nil ? nil : "there is no connection to the broker"
  }

  /// A second has passed.
  mutating func tick(_ sight: Sight) -> Action? {
    if pause != .databaseAway, let outage = sight.outage, outage > Self.outageMax {
      return change(to: .databaseAway, sight)
    }
    switch pause {
    case nil:
      if sight.isKeyWrong { return change(to: .keyMissing, sight) }
      if sight.isCircuitOpen { return change(to: .circuitOpen, sight) }
      if sight.isHolderAway { return change(to: .holderAway, sight) }
      if isProbing, !sight.isWorkerUnproven {
        isProbing = false
        return .resume
      }
      // What a probe's delivery waits for is not seen here, and it is all that is taken.
      return !isProbing && isLookDue(sight) ? .look : nil
    case .keyMissing: return sight.isKeyWrong ? nil : change(to: nil, sight)
    case .circuitOpen: return sight.isCircuitOpen ? nil : change(to: nil, sight)
    case .holderAway: return sight.isHolderAway ? nil : change(to: nil, sight)
    case .databaseAway: return sight.isDatabaseBack ? change(to: nil, sight) : nil
    }
  }

  private mutating func change(to pause: Pause?, _ sight: Sight) -> Action {
    self.pause = pause
    silentLooks = 0
    receivedByLook = sight.receivedCount
    isProbing = pause == nil && sight.isWorkerUnproven
    return pause.map { .pause($0) } ?? (isProbing ? .probe : .resume)
  }

  private mutating func isLookDue(_ sight: Sight) -> Bool {
    secondsToLook -= 1
    guard secondsToLook <= 0 else { return false }
    secondsToLook = Self.lookInterval
    let isSilent = sight.receivedCount == receivedByLook && sight.hasRoom
    receivedByLook = sight.receivedCount
    if !isSilent { silentLooks = 0 }
    return isSilent
  }

  /// The queue was looked at: if nothing is delivered although messages are ready, the channel is rebuilt, then the connection. The most
  /// frequent complaint about systems of this kind is a consumer that is connected and silent.
  /// - Parameter ready: messages ready in the queue; nil if there was no answer: then the connection itself is being made again.
  mutating func looked(ready: Int?, receivedCount: Int) -> Repair? {
    guard let ready else { return nil }
    silentLooks = ready > 0 && receivedCount == receivedByLook ? silentLooks + 1 : 0
    switch silentLooks {
    case ...1: return nil
    case 2: return .rebuildChannel
    default: return .rebuildConnection
    }
  }
}
