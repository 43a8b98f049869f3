package import Settings

/// The services of a process, in the order in which they start.
///
/// They stop one after another in the reverse order: first what takes new work, last what the others need to finish theirs.
package enum ServicePart: String, Sendable, CaseIterable {
  /// The way of spans to their collector: it is the last to stop, as all others record some.
  case spans
  /// The session in Postgres that makes this process a holder, and hears notifications.
  case holderSession
  /// The connection to the broker that publishes.
  case publisher
  /// The connections to GitHub and GitLab.
  case platformConnections
  /// What the roles call and what runs in the same process, see ``ProcessAdditions``.
  case called
  /// Metrics and probes on a port of their own.
  case probes
  /// Webhooks that a process stored and did not finish.
  case webhooksLeftBehind
  /// Reactions, check runs and commit statuses.
  case feedback
  /// What webhooks ask of a platform.
  case platformTasks
  /// Events for other programs.
  case events
  /// Cancels that the worker has to know of.
  case cancels
  /// The HTTP server.
  case server
  /// Missed webhooks and unreviewed pull requests.
  case catchUp
  /// Abandoned and silent reviews.
  case reaper
  /// Deliveries.
  case consumer
  /// Pending reviews.
  case producer

  /// Whether it begins when the schema has been checked: before that nothing is done. The others say from the start on how the process is,
  /// and answer that it waits for Postgres.
  package var waitsForSchema: Bool {
    switch self {
    case .spans, .platformConnections, .probes, .server: false
    case .holderSession, .publisher, .called, .webhooksLeftBehind, .feedback, .platformTasks, .events, .cancels,
      .catchUp, .reaper, .consumer, .producer:
      true
    }
  }

  /// The parts of a process.
  package static func parts(of roles: Set<Role>, _ settings: Settings) -> [ServicePart] {
    let givesFeedback = roles.contains(.serve) && settings.encryptionKey != nil
    let catchesUp = roles.contains(.reap) && settings.encryptionKey != nil && settings.catchUpInterval > .zero
    let asksWorker = settings.workerURL != nil && settings.workerToken != nil
    return allCases.filter { part in
      switch part {
      case .holderSession, .publisher, .called: true
      case .spans: settings.otlpEndpoint != nil
      case .platformConnections: roles.contains(.consume) || givesFeedback || catchesUp
      case .probes: settings.metricsPort != nil
      case .webhooksLeftBehind, .server: roles.contains(.serve)
      case .feedback, .platformTasks, .events: givesFeedback
      case .catchUp: catchesUp
      case .cancels: asksWorker && (roles.contains(.reap) || roles.contains(.serve))
      case .reaper: roles.contains(.reap)
      case .consumer: roles.contains(.consume)
      case .producer: roles.contains(.produce)
      }
    }
  }
}
