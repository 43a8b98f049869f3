package import Resilience
internal import Synchronization

/// The circuits of a process by the name of their target.
package final class Circuits: Sendable {
  /// Targets are hosts that the operator has allowed, so this is only a guard against a mistake.
  private static let countMax = 256

  private let circuits = Mutex<[String: Circuit]>([:])
  private let breaker: CircuitBreaker

  /// - Parameter breaker: the state that every new circuit starts with.
  package init(breaker: CircuitBreaker = CircuitBreaker()) { self.breaker = breaker }

  /// The circuit of a target, made if there is none yet.
  package subscript(_ name: String) -> Circuit {
    circuits.withLock { circuits in
      if let circuit = circuits[name] { return circuit }
      if circuits.count >= Self.countMax { circuits = circuits.filter { $0.value.state != .closed } }
      let circuit = Circuit(name: name, breaker: breaker)
      circuits[name] = circuit
      return circuit
    }
  }

  /// All circuits, sorted by name; for metrics.
  package var all: [Circuit] { circuits.withLock { $0.values.sorted { $0.name < $1.name } } }
}
