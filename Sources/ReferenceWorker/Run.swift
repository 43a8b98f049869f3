internal import FoundationEssentials
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// One run whose agent is to be begun, or was begun by a worker that is gone.
struct RunOrder: Sendable {
  var key: RunKey
  var request: StartRequest
  /// The start, as it was received.
  var body: [UInt8]
  /// Counts the agents that were begun for this run, from 1.
  var launch: Int
  /// When the agent was begun.
  var startedAt: Timestamp
  /// How much of the agent's output has become events already, in bytes.
  var outputOffset: Int64
  /// Its own span; nil if the start named no trace.
  var trace: TraceContext?
}

/// The outcome of a start.
enum StartVerdict: Sendable, Equatable {
  case accepted(RunState, agentVersion: String?)
  /// A newer attempt is known already.
  case older(known: Int)
  /// The worker is being shut down and takes on nothing new.
  case draining
}

/// What follows from a change of the runs, beyond the change itself.
struct Consequences: Sendable, Equatable {
  /// Runs whose agents are to be ended.
  var stops: [RunKey] = []
  /// Whether Baton has to be notified.
  var reports = false
  /// Whether a run may begin now.
  var makesRoom = false
  /// Whether secrets were deleted, which the log still has.
  var wipes = false
}

/// Why a run is ended before its agent ends by itself.
enum StopReason: String, Sendable {
  case cancelled
  /// A newer attempt of the review has begun.
  case replaced
  case timeout
  case overflow
}
