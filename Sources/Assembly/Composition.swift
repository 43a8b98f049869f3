internal import Dispatching
internal import Logging
package import Platforms
internal import Resilience
internal import ReviewStore
package import ServiceLifecycle
internal import Settings
internal import WorkerClient

/// The services of a process and what they share: the only place that puts roles together.
package struct Composition {
  /// The services in the order of ``ServicePart``, in which they start.
  package var services: [(part: ServicePart, service: any Service)] {
    get throws { try parts.flatMap { part in try services(of: part).map { (part, $0) } } }
  }

  private let process: DispatcherProcess
  private let additions: ProcessAdditions
  private let parts: [ServicePart]
  private let session: HolderSession
  private let brokerReturned = Wakeup()
  let platforms: PlatformAssembly?
  private let consumer: Consumer?
  private let worker: WorkerClient?

  /// Makes what the services share; nothing connects yet.
  package init(_ process: DispatcherProcess, _ additions: ProcessAdditions = ProcessAdditions()) throws {
    self.process = process
    self.additions = additions
    parts = ServicePart.parts(of: process.roles, process.settings)
    platforms = parts.contains(.platformConnections) ? try PlatformAssembly(process) : nil
    worker = parts.contains(.cancels) ? try process.workerClient() : nil
    let consumer =
      parts.contains(.consumer)
      ? try platforms.map { try ConsumerAssembly(process, $0, preparer: additions.preparer).consumer } : nil
    self.consumer = consumer
    var events: Set<LedgerEvent> = []
    if parts.contains(.producer) { events.insert(.reviewsDue) }
    if parts.contains(.cancels) { events.insert(.cancelsDue) }
    let recovers = parts.contains(.reaper)
    session =
      consumer.map { consumer in process.holderSession(hearing: events, recovers: recovers) { consumer.report } }
      ?? process.holderSession(hearing: events, recovers: recovers)
    warn()
  }

  private func services(of part: ServicePart) throws -> [any Service] {
    switch part {
    case .spans: process.spans.map { [$0] } ?? []
    case .holderSession: [session]
    case .publisher: [process.publisherService(waking: session.pendingWakeup, brokerReturned)]
    case .platformConnections: platforms.map { [$0.connections] } ?? []
    case .called: additions.called
    case .probes: [process.probeServer(measuresLoad: !parts.contains(.server))]
    case .webhooksLeftBehind: [process.webhookIntake]
    case .feedback: platforms.map { [process.feedbackRelay($0)] } ?? []
    case .platformTasks: platforms.map { [process.platformTasks($0)] } ?? []
    case .events: platforms.flatMap { process.eventRelay($0) }.map { [$0] } ?? []
    case .catchUp: platforms.map { [process.catchUp($0)] } ?? []
    case .cancels: worker.map { [process.cancelRelay(to: $0, wakeup: session.outboxWakeup)] } ?? []
    case .server: [try process.server(showLoginLink: additions.showLoginLink)]
    case .reaper:
      [process.reaper(worker: worker, interval: additions.reapInterval, wakeup: brokerReturned)]
    case .consumer: consumer.map { [$0] } ?? []
    case .producer: [process.producer(wakeup: session.pendingWakeup)]
    }
  }

  /// Names what this process does not do because a setting is missing.
  private func warn() {
    if parts.contains(.reaper) && worker == nil {
      process.logger.warning("BATON_WORKER_URL is not set: silent reviews are left alone, cancels are not delivered")
    } else if parts.contains(.server) && worker == nil {
      process.logger.notice("BATON_WORKER_URL is not set: this process notifies no worker of cancels")
    }
    if parts.contains(.consumer), let warning = process.policy.preparationWarning {
      process.logger.warning("\(warning)")
    }
    if parts.contains(.server) && !parts.contains(.feedback) {
      process.logger.warning(
        "BATON_ENCRYPTION_KEY is not set: this process gives no feedback on pull requests, and sends no events")
    }
  }
}

/// What a command adds to the services of its roles.
package struct ProcessAdditions {
  /// The time between passes of the reaper.
  package var reapInterval: Duration = .seconds(2)
  /// Services that the roles call: they start before the roles, and stop after them.
  package var called: [any Service] = []
  /// Prepares payloads in place of GitHub and GitLab.
  package var preparer: (any PayloadPreparer)?
  /// Shows a link that signs one browser in, if the server has made its own token; nil writes it to the log.
  package var showLoginLink: (@Sendable (String) -> Void)?

  package init() {}
}
