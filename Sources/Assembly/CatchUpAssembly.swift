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
    let trust = HTTPTrust(authorityFile: settings.caFile)
    let httpClient = PlatformAccess.makeHTTPClient(connectionMax: connectionMax, trust: trust)
    do {
      let access = try PlatformAccess(
        settings: PlatformSettings(settings, trust: trust), httpClient: httpClient,
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

  /// What a pass leaves out because the settings name no app of GitHub.
  package enum Omission: Equatable, Sendable, CustomStringConvertible {
    /// So many installations of GitHub, and what GitHub could not deliver: an operator has to set the app.
    case installations(Int)
    /// Everything: no integration names what could be looked through. No fault, reviews may come by the API alone.
    case everything

    /// Nil if nothing is left out.
    /// - Parameters:
    ///   - hasGitHubApp: whether the settings name the app.
    ///   - installations: of GitHub, that integrations name.
    ///   - hasGitLab: whether integrations name anything at GitLab.
    package init?(hasGitHubApp: Bool, installations: Int, hasGitLab: Bool) {
      guard !hasGitHubApp else { return nil }
      if installations > 0 {
        self = .installations(installations)
      } else if !hasGitLab {
        self = .everything
      } else {
        return nil
      }
    }

    /// Whether an operator has to do something.
    package var isFault: Bool { self != .everything }

    package var description: String {
      let remedy = "Set BATON_GITHUB_APP_ID and BATON_GITHUB_PRIVATE_KEY to those of the GitHub App."
      return switch self {
      case .installations(let count):
        "BATON_GITHUB_APP_ID is missing: what GitHub could not deliver, and the pull requests of "
          + (count == 1 ? "1 installation" : "\(count) installations") + ", were not looked through. \(remedy)"
      case .everything:
        "There is nothing to look through: BATON_GITHUB_APP_ID is missing, and no integration of GitLab is known. If "
          + "webhooks are to be caught up with: \(remedy) Or add an integration: `baton integration add`."
      }
    }
  }

  /// What a pass leaves out because the settings name no app of GitHub; nil if it leaves nothing out.
  package static func omission(_ settings: Settings, store: ReviewStore) async throws -> Omission? {
    let subjects = try await store.catchUpSubjects()
    return Omission(
      hasGitHubApp: settings.githubAppID != nil, installations: subjects.installations, hasGitLab: subjects.hasGitLab)
  }
}
