internal import AsyncHTTPClient
package import BatonServer
internal import HTTPTrust
package import Logging
internal import Platforms
package import ReviewStore
package import Settings

extension PlatformSettings {
  /// What the settings say about the platforms.
  init(_ settings: Settings, trust: HTTPTrust) {
    self.init(
      githubAPIURL: settings.githubAPIURL, githubAppID: settings.githubAppID,
      githubPrivateKey: settings.githubPrivateKey, gitlabHosts: settings.gitlabHosts,
      encryptionKeys: settings.revealEncryptionKeys(), trust: trust)
  }
}

extension DispatcherProcess {
  /// Looks for missed webhooks and unreviewed pull requests.
  func catchUp(_ platforms: PlatformAssembly) -> CatchUp {
    CatchUp(
      store: store, questions: PlatformQuestions(access: platforms.access), interval: settings.catchUpInterval,
      age: settings.catchUpAge, logger: logger)
  }
}

/// `baton catch-up`: one pass, without the parts of a role.
package enum CatchUpPass {
  /// How many connections to a host it makes; it calls one after another.
  private static let connectionMax = 2

  /// - Parameters:
  ///   - settings: of the command.
  ///   - store: where the reviews are.
  ///   - timeMax: what is left then is for the next pass.
  ///   - logger: for what it reports.
  /// - Throws: what is wrong with the settings; `PostgresError`.
  package static func run(
    _ settings: Settings, store: ReviewStore, timeMax: Duration, logger: Logger
  ) async throws -> CatchUpCounts {
    let httpClient = PlatformAccess.makeHTTPClient(connectionMax: connectionMax)
    do {
      let access = try PlatformAccess(
        settings: PlatformSettings(settings, trust: HTTPTrust(authorityFile: settings.caFile)), httpClient: httpClient,
        integrationTokens: StoredIntegrationTokens(store: store), logger: logger)
      let catchUp = CatchUp(
        store: store, questions: PlatformQuestions(access: access), interval: settings.catchUpInterval,
        age: settings.catchUpAge, logger: logger)
      let counts = try await catchUp.runOnce(until: .now + timeMax)
      try? await httpClient.shutdown()
      return counts
    } catch {
      try? await httpClient.shutdown()
      throw error
    }
  }
}
