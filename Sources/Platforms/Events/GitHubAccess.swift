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
  func withCaller<Value: Sendable>(
    of integration: Integration, _ body: (APICaller) async throws(APIFault) -> Value
  ) async throws(FeedbackFault) -> Value {
    if let ciphertext = integration.tokenCiphertext {
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
      throw FeedbackFault(ofApp: error)
    }
  }
}
