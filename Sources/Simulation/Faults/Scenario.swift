/// Everything that a seed decides before the first job runs. With the same scenario and the same seed, a run is the same.
package struct Scenario: Sendable, Equatable {
  package var seed: UInt64
  package var producers: Int
  package var consumers: Int
  package var reapers: Int
  package var prefetch: Int
  /// The limit of each owner.
  package var limits: [Int]
  package var reviews: [PlannedReview]
  package var operations: [Operation]
  package var faults: [InjectedFault]
  package var worker: WorkerRates
  /// Whether a start of an attempt that the worker has changes nothing, as the contract demands.
  package var isWorkerIdempotent = true
  /// How wrong the wall clock of each process is.
  package var skews: [Duration]
  /// Whether something of Baton is broken on purpose, to prove that the checker sees it.
  package var plantedFault: PlantedFault?

  /// A review, as its owner's platform announces it.
  package struct PlannedReview: Sendable, Hashable {
    package var number: Int
    package var time: Duration
    package var owner: Int
    package var pullRequest: Int
    package var priority: Int
    package var preparation: Duration
    package var run: Duration
    /// Whether it can never be prepared.
    package var isHopeless = false
  }

  /// What an operator does.
  package struct Operation: Sendable, Hashable {
    package var time: Duration
    package var kind: Kind

    /// What an operator does.
    package enum Kind: Sendable, Hashable {
      case cancel(review: Int)
      case retry(review: Int)
      case pause(owner: Int, for: Duration)
      case limit(owner: Int, to: Int)
    }
  }

  /// How often the worker and what lies before it answer otherwise than they should.
  package struct WorkerRates: Sendable, Equatable {
    package var unavailable = 0.0
    package var ambiguousBefore = 0.0
    package var ambiguousAfter = 0.0
    /// A start that arrives after its caller has given up.
    package var late = 0.0
    package var throttled = 0.0
    package var refused = 0.0
    package var again = 0.0
    package var preparationFails = 0.0
    package var runFails = 0.0
    package var callbackLost = 0.0
    package var callbackDoubled = 0.0
    package var callbackLate = 0.0
  }

  var placeCount: Int { producers + consumers + reapers }

  func role(of place: Int) -> Role {
    if place < producers { return .produce }
    return place < producers + consumers ? .consume : .reap
  }

  enum Role: String, Sendable { case produce, consume, reap }

  /// When the last fault is over and the last review has come.
  var healed: Duration {
    let times = faults.map(\.end) + reviews.map(\.time) + operations.map(\.end) + [.seconds(1)]
    return times.max() ?? .seconds(1)
  }
}

extension Scenario.Operation {
  var end: Duration {
    if case .pause(_, let duration) = kind { return time + duration }
    return time
  }
}
