package import ReviewStore
internal import Synchronization

/// Where the parts of a process say what holds them back; the heartbeat takes it to all who look.
package final class HealthBoard: Sendable {
  /// What a part of the process reports; empty if nothing holds it back.
  package typealias Look = @Sendable () -> [Holder.Fault]

  private struct State {
    var looks: [Look] = []
    var lastDispatch: (@Sendable () -> Duration?)?
    var allClaimed: (@Sendable () -> Duration?)?
    var roundTrip: (@Sendable () -> Duration?)?
  }

  private let version: String
  private let roles: [String]
  private let state = Mutex(State())

  /// - Parameters:
  ///   - version: of the program.
  ///   - roles: what this process does.
  package init(version: String, roles: [String]) {
    self.version = version
    self.roles = roles
  }

  /// Adds what a part says of itself; asked with every heartbeat, so it only reads.
  package func register(_ look: @escaping Look) { state.withLock { $0.looks.append(look) } }

  /// - Parameter age: since a worker last accepted a review; nil if none has.
  package func registerLastDispatch(_ age: @escaping @Sendable () -> Duration?) {
    state.withLock { $0.lastDispatch = age }
  }

  /// - Parameter age: since nothing was left to claim; nil if that was never seen.
  package func registerAllClaimed(_ age: @escaping @Sendable () -> Duration?) {
    state.withLock { $0.allClaimed = age }
  }

  /// - Parameter time: what the last heartbeat took.
  package func registerRoundTrip(_ time: @escaping @Sendable () -> Duration?) { state.withLock { $0.roundTrip = time } }

  /// How this process is now.
  package var health: Holder.Health {
    let state = state.withLock { $0 }
    var health = Holder.Health(version: version, roles: roles, faults: state.looks.flatMap { $0() })
    health.dispatchedSeconds = state.lastDispatch?().map { $0 / .seconds(1) }
    health.allClaimedSeconds = state.allClaimed?().map { $0 / .seconds(1) }
    health.roundTripSeconds = state.roundTrip?().map { $0 / .seconds(1) }
    return health
  }
}
