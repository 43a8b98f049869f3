internal import BatonServer
package import Settings

// What the parts of the roles ask for.
extension OpenFiles.Demand {
  /// Of a server that any client may connect to.
  package static let clients = Self(.clients, wanted: 1_024, least: 8)
  /// Of the metrics port.
  package static let probes = Self(.probes, wanted: 64, least: 4)
  /// Clients of the worker for cancels, silent reviews and events; each has its own connections.
  package static func workerQuestions(clients: Int) -> Self {
    Self(.workerQuestions, wanted: 16, least: 1, cost: clients)
  }

  /// Of a consumer, and of feedback; a review makes three calls at once.
  /// - Parameters:
  ///   - settings: of the process.
  ///   - reviewsAtOnce: 0 if none are prepared.
  package static func platforms(_ settings: Settings, reviewsAtOnce: Int = 0) -> Self {
    let hostCount = 1 + settings.gitlabHosts.count + (settings.posthogURL == nil ? 0 : 1)
    return Self(.platforms, wanted: 3 * reviewsAtOnce + 16, least: 2, cost: hostCount)
  }

  /// Of a server, for the events that it sends.
  package static let events = Self(.events, wanted: EventRelay.sendsAtOnce, least: 1)

  /// Of a consumer: each review that it works on has one call under way.
  package static func worker(_ settings: Settings) -> Self { Self(.worker, wanted: settings.prefetch, least: 2) }

  /// Of the reference worker: files and pipes of a running agent.
  package static func agents(_ concurrency: Int) -> Self { Self(.agents, wanted: concurrency, least: 1, cost: 6) }
  /// Of the reference worker.
  package static let callbacks = Self(.callbacks, wanted: 16, least: 1)

  /// The same, with the other end of each connection in this process as well.
  package var withBothEnds: Self { Self(use, wanted: wanted, least: least, cost: 2 * cost) }
}
