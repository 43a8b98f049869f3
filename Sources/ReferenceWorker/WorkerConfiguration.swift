package import HTTPKit
package import HTTPTrust
package import Primitives
package import Reviews
package import Telemetry
internal import WorkerAPI

/// How a ``ReferenceWorker`` works.
package struct WorkerConfiguration: Sendable {
  package var host = "127.0.0.1"
  /// 0 takes any free port, which `onBound` then reports.
  package var port = 0
  /// The bearer tokens of every call but `/health`; each is accepted.
  package var tokens: SecretList
  /// The SQLite file of its state, of which it is the only user; the folder of the running agents' files is next to it.
  package var statePath: String
  /// Run by `/bin/sh -c` for every review; nil for the demonstration, which completes every run at once and passes no gate.
  package var agentCommand: String?
  /// The worker's environment, of which agents get what they need to run at all, and ``environmentNames``.
  package var environment: [String: String] = [:]
  /// Further variables for agents; a name may end in `*`. None of Baton's own, whatever stands here.
  package var environmentNames: [String] = []
  /// How runs are kept apart.
  package var isolation = AgentIsolation.off
  /// Files that hold secrets of the worker: with namespaces, agents do not see them.
  package var hiddenPaths: [String] = []
  /// The secrets of the worker's process: replaced by `***` wherever an agent prints them.
  package var secrets: [Secret] = []
  /// How many agents run at once; the rest wait in order.
  package var concurrency = 4
  /// What HTTP connections may take: how many there are, and how long each makes the worker wait.
  package var connections = defaultConnections

  private static var defaultConnections: ConnectionLimits {
    var limits = ConnectionLimits(connectionMax: 1_024)
    // A start that is too large gets its answer: most clients read it only after they have sent the whole body.
    limits.drainByteCountMax = 2 * StartRequest.byteCountMax
    return limits
  }
  /// How many HTTP connections are accepted at once; further ones wait in the kernel's backlog.
  package var connectionMax: Int {
    get { connections.connectionMax }
    set { connections.connectionMax = newValue }
  }
  /// How many callbacks are on the wire at once.
  package var callbackConnectionMax = 16
  /// What becomes of a run whose agent has died with the worker.
  package var lostRuns = LostRuns.fail
  /// The base URL of Baton, which status callbacks go to; it may carry a path. nil sends none.
  package var callbackURL: String?
  /// Sent as `X-Internal-Secret`; nil sends the run's own token as bearer.
  package var callbackSecret: Secret?
  /// Which certificates Baton may have.
  package var trust = HTTPTrust()
  /// How long a worker that is shut down waits for its agents; those that go on, and runs that wait, are left to the next start.
  package var drainTimeout: Duration = .seconds(30)
  /// From TERM to KILL.
  package var killGrace: Duration = .seconds(5)
  /// How long the minutes of `maxReviewTimeMinutes` last: tests shorten them.
  package var minute: Duration = .seconds(60)
  /// How many events a run keeps; the oldest go first.
  package var eventCountMax = 10_000
  /// How many bytes an agent may print; beyond, its run is ended as failed.
  package var outputByteCountMax: Int64 = 64 << 20
  /// How long a run is known after its end.
  package var retention: Duration = .seconds(7 * 86_400)
  /// Counts the requests that are answered; nil counts none.
  package var metrics: BatonMetrics?
  /// Called once, with the bound port.
  package var onBound: @Sendable (Int) async -> Void = { _ in }

  package init(token: Secret, former: [Secret] = [], statePath: String) {
    tokens = SecretList(token, former: former)
    self.statePath = statePath
  }
}
