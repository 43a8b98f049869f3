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
  /// - Throws: what is wrong with the settings; `StoreFault`.
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

  /// What a pass leaves out because the settings name no app of GitHub; nil if it leaves nothing out.
  package static func omission(_ settings: Settings, store: ReviewStore) async throws -> String? {
    guard settings.githubAppID == nil else { return nil }
    let subjects = try await store.catchUpSubjects()
    let remedy = "Set BATON_GITHUB_APP_ID and BATON_GITHUB_PRIVATE_KEY to those of the GitHub App."
    if subjects.installations > 0 {
      let installations = subjects.installations == 1 ? "1 installation" : "\(subjects.installations) installations"
      return
        "BATON_GITHUB_APP_ID is missing: what GitHub could not deliver, and the pull requests of \(installations), "
        + "were not looked through. \(remedy)"
    }
    if subjects.hasGitLab { return nil }
    return "There is nothing to look through: BATON_GITHUB_APP_ID is missing, and no integration of GitLab is known. "
      + "\(remedy) Or add an integration: `baton integration add`."
  }
}
