internal import FoundationEssentials
internal import HTTPTrust
package import Logging
internal import Primitives
package import ReferenceWorker
internal import Reviews
package import Settings

extension WorkerConfiguration {
  /// - Parameters:
  ///   - concurrency: how many agents run at once.
  ///   - files: how many connections and agents there may be.
  /// - Throws: if the settings of the isolation do not fit together.
  package init(_ settings: Settings, host: String, port: Int, concurrency: Int, files: OpenFiles, logger: Logger)
    throws(SettingsError)
  {
    let tokens = settings.workerToken ?? SecretList(Secret(""))
    self.init(token: tokens.current, former: tokens.former, statePath: settings.workerState)
    self.host = host
    self.port = port
    self.concurrency = min(concurrency, files[.agents] ?? concurrency)
    connectionMax = files[.clients] ?? connectionMax
    callbackConnectionMax = files[.callbacks] ?? callbackConnectionMax
    agentCommand = settings.agentCommand
    lostRuns = settings.workerLostRuns
    environment = ProcessInfo.processInfo.environment
    environmentNames = settings.agentEnvironment
    secrets = settings.secretTexts
    isolation = try Self.isolation(settings, concurrency: self.concurrency)
    callbackURL = settings.callbackURL
    callbackSecret = settings.callbackSecret?.current
    trust = HTTPTrust(authorityFile: settings.caFile)
    drainTimeout = settings.drainTimeout
    onBound = { port in logger.notice("listening", metadata: ["url": "http://\(host):\(port)"]) }
  }

  /// How agents are kept apart.
  static func isolation(_ settings: Settings, concurrency: Int) throws(SettingsError) -> AgentIsolation {
    switch settings.agentIsolation {
    case .off: return .off
    case .namespaces: return .namespaces
    case .users:
      guard let users = settings.agentUsers else {
        throw SettingsError(faults: [
          "BATON_AGENT_USERS is missing: BATON_AGENT_ISOLATION=users needs it; for example 70000-70015"
        ])
      }
      guard users.count >= concurrency else {
        throw SettingsError(faults: [
          "BATON_AGENT_USERS has \(users.count) user ids, and \(concurrency) runs at once need one each: name more, or lower --concurrency"
        ])
      }
      return .users(users)
    }
  }
}
