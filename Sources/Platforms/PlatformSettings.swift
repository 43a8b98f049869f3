package import HTTPTrust
package import Primitives
internal import Reviews

/// What the platforms need to know about the installation.
package struct PlatformSettings: Sendable {
  /// Base URL of GitHub's REST API; may carry a path.
  package var githubAPIURL: String
  /// The GitHub App's number or client id; with ``githubPrivateKey`` or not at all.
  package var githubAppID: String?
  /// The app's private key as PEM text, PKCS#1 or PKCS#8.
  package var githubPrivateKey: Secret?
  /// The GitLab hosts that may be called, with a port or for all ports.
  package var gitlabHosts: [String]
  /// The keys of stored tokens, 32 bytes each; the first seals, and signs the tokens of callbacks.
  package var encryptionKeys: [[UInt8]]
  /// The deadline of one call of an API, whole.
  package var callTimeout: Duration
  /// Which certificates the platforms may have.
  package var trust: HTTPTrust

  package init(
    githubAPIURL: String = "https://api.github.com", githubAppID: String? = nil, githubPrivateKey: Secret? = nil,
    gitlabHosts: [String] = ["gitlab.com"], encryptionKeys: [[UInt8]], callTimeout: Duration = .seconds(10),
    trust: HTTPTrust = HTTPTrust()
  ) {
    self.githubAPIURL = githubAPIURL
    self.githubAppID = githubAppID
    self.githubPrivateKey = githubPrivateKey
    self.gitlabHosts = gitlabHosts
    self.encryptionKeys = encryptionKeys
    self.callTimeout = callTimeout
    self.trust = trust
  }

  /// What is wrong with the settings: every fault, each with the name of its variable.
  package struct Faults: Error, Sendable, Equatable, CustomStringConvertible {
    package var faults: [String]
    package var description: String { faults.joined(separator: "; ") }
  }

  /// Checks them without a call.
  func checked() throws(Faults) -> (github: APIBase, app: GitHubApp?) {
    var faults: [String] = []
    let github = APIBase(githubAPIURL)
    if github == nil { faults.append("BATON_GITHUB_API_URL: expected an http or https URL without a user and a query") }
    if github?.keepsSecrets == false {
      faults.append("BATON_GITHUB_API_URL: would send tokens without encryption to another machine: give an https URL")
    }
    if encryptionKeys.isEmpty || encryptionKeys.contains(where: { $0.count != TokenCipher.keyByteCount }) {
      faults.append(
        "BATON_ENCRYPTION_KEY: expected \(TokenCipher.keyByteCount) bytes, or several times that with commas between")
    }
    var app: GitHubApp?
    do { app = try Self.app(id: githubAppID, privateKey: githubPrivateKey) } catch { faults += error.faults }
    guard let github, faults.isEmpty else { throw Faults(faults: faults) }
    return (github, app)
  }

  /// The app that the settings name.
  /// - Returns: nil if they name none.
  /// - Throws: if only one of the two is given, or the key is none.
  package static func app(id: String?, privateKey: Secret?) throws(Faults) -> GitHubApp? {
    switch (id, privateKey) {
    case (nil, nil): return nil
    case (let id?, let key?):
      do throws(GitHubApp.KeyFault) {
        return try GitHubApp(id: id, privateKey: key)
      } catch {
        throw Faults(faults: ["BATON_GITHUB_PRIVATE_KEY: \(error)"])
      }
    case (nil, _?): throw Faults(faults: ["BATON_GITHUB_APP_ID is missing, as BATON_GITHUB_PRIVATE_KEY is set"])
    case (_?, nil): throw Faults(faults: ["BATON_GITHUB_PRIVATE_KEY is missing, as BATON_GITHUB_APP_ID is set"])
    }
  }
}
