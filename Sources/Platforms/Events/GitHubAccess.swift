internal import FoundationEssentials
internal import Primitives
internal import Reviews

/// Calls of GitHub in the name of an integration: with its stored token, or its installation's.
struct GitHubAccess: Sendable {
  let client: APIClient
  let cipher: TokenCipher
  let tokens: InstallationTokens?

  /// How long an installation's token is needed.
  private static let lifetime: Duration = .seconds(300)

  /// Makes calls with the integration's token. It may have been withdrawn since it was kept: on the first 401 a new one is tried.
  /// - Parameters:
  ///   - integration: whose token it is: the stored one, or its installation's if it has none.
  ///   - asApp: for what GitHub lets only apps do, such as check runs: the installation's token if there is one, also if one is stored.
  ///   - body: the calls.
  func withCaller<Value: Sendable>(
    of integration: Integration, asApp: Bool = false, _ body: (APICaller) async throws(APIFault) -> Value
  ) async throws(FeedbackFault) -> Value {
    let isByInstallation = asApp && integration.installationId != nil && tokens != nil
    if let ciphertext = integration.tokenCiphertext, !isByInstallation {
      let token: Secret
      do throws(SealedTokenFault) {
        token = try cipher.openToken(ciphertext, in: .token(of: integration.id))
      } catch {
        throw FeedbackFault(error)
      }
      return try await Self.call(GitHubSource.caller(token), body)
    }
    guard let installation = integration.installationId else {
      throw .impossible("there is no token, and no installation of a GitHub App, to call GitHub with")
    }
    guard let tokens else { throw .blocked(InstallationFault.withoutApp(installation)) }
    let account = InstallationTokens.account(of: installation)
    let token = try await Self.token(of: installation, tokens)
    do {
      return try await Self.call(GitHubSource.caller(token, account: account), body)
    } catch .call(.unauthorized) {
      tokens.forget(token, of: installation)
      let token = try await Self.token(of: installation, tokens)
      return try await Self.call(GitHubSource.caller(token, account: account), body)
    }
  }

  private static func call<Value: Sendable>(
    _ caller: APICaller, _ body: (APICaller) async throws(APIFault) -> Value
  ) async throws(FeedbackFault) -> Value {
    do {
      return try await body(caller)
    } catch {
      throw .call(error)
    }
  }

  private static func token(of installation: String, _ tokens: InstallationTokens) async throws(FeedbackFault) -> Secret
  {
    do {
      return try await tokens.token(of: installation, for: lifetime)
    } catch {
      if error == .missing, !tokens.hasProvenApp { throw .blocked(InstallationFault.unknown(installation)) }
      throw FeedbackFault(ofApp: error)
    }
  }
}
