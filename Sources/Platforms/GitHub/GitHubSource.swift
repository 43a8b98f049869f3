internal import FoundationEssentials
internal import Logging
internal import NIOHTTP1
internal import Primitives
internal import Reviews

/// Reads pull requests from GitHub's REST API.
struct GitHubSource: PullRequestSource {
  static let name = "GitHub"

  /// How a review's repository is read.
  struct Access: Sendable {
    enum Right: Sendable {
      /// No token is sent; only public repositories can be read.
      case anonymous(hint: String)
      case token(Secret)
      case installation(String)
      /// An installation whose token cannot be had, because no app is set: public repositories can still be read.
      case withoutApp(String)
    }

    /// `/repos/{owner}/{name}`, encoded.
    var repository: String
    var right: Right
  }

  let client: APIClient
  let cipher: TokenCipher
  /// The app's id, for recognising its own comments; nil without an app.
  let appID: String?
  let tokens: InstallationTokens?
  let logger: Logger

  func access(for review: LeasedReview) throws(PreparationError) -> Access {
    guard let repository = Self.path(of: review.repoFullName) else {
      throw .permanent(
        .pullRequestMissing, message: "\"\(review.repoFullName)\" is not a GitHub repository's owner/name.")
    }
    return Access(repository: repository, right: try right(of: review))
  }

  func target(of access: Access) -> String { client.base.authority }

  func collect(
    _ review: LeasedReview, _ access: Access, lifetime: Duration, until deadline: ContinuousClock.Instant?
  ) async throws(CollectFailure) -> CollectedPullRequest {
    switch access.right {
    case .anonymous(let hint): return try await read(review, access, token: nil, hint: hint, until: deadline)
    case .token(let token): return try await read(review, access, token: token, until: deadline)
    case .installation(let id):
      return try await readAsInstallation(id, review, access, lifetime: lifetime, until: deadline)
    case .withoutApp(let id): return try await readWithoutApp(id, review, access, until: deadline)
    }
  }

  /// Who makes a call: the bearer of a token, or an anonymous caller.
  /// - Parameter account: nil for the token's own; an installation's tokens share its limit.
  static func caller(_ token: Secret?, account: String? = nil) -> APICaller {
    var headers: HTTPHeaders = [
      "accept": "application/vnd.github+json", "user-agent": "baton", "x-github-api-version": "2022-11-28",
    ]
    if let token { headers.add(name: "authorization", value: "Bearer \(token.reveal())") }
    return APICaller(headers: headers, token: token, account: account)
  }

  /// `/repos/{owner}/{name}`, encoded; nil if the name is none, so that it cannot lead to another path.
  static func path(of repoFullName: String) -> String? {
    let parts = repoFullName.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else { return nil }
    return "/repos/\(String(parts[0]).percentEncoded)/\(String(parts[1]).percentEncoded)"
  }
}

// MARK: Right

extension GitHubSource {
  /// A stored token wins over the installation: an operator has stored it on purpose.
  private func right(of review: LeasedReview) throws(PreparationError) -> Access.Right {
    guard let integration = review.integration else {
      return .anonymous(hint: "The review names no integration, so no token was sent.")
    }
    if let ciphertext = integration.tokenCiphertext {
      do throws(SealedTokenFault) {
        return .token(try cipher.openToken(ciphertext, in: .token(of: integration.id)))
      } catch {
        throw PreparationError(error)
      }
    }
    guard let installation = integration.installationId else {
      return .anonymous(hint: "The integration holds neither an installation nor a token, so none was sent.")
    }
    return tokens == nil ? .withoutApp(installation) : .installation(installation)
  }

  /// What is not shown to everybody may be there: that is for a consumer that has the app's key to find out.
  private func readWithoutApp(
    _ id: String, _ review: LeasedReview, _ access: Access, until deadline: ContinuousClock.Instant?
  ) async throws(CollectFailure) -> CollectedPullRequest {
    do {
      return try await read(review, access, token: nil, until: deadline)
    } catch .call(.missing, _) {
      throw .wait(
        message: "GitHub does not show \(review.pullRequestName) to everybody, and \(InstallationFault.withoutApp(id))",
        for: .seconds(60))
    }
  }

  /// An installation's token may have been withdrawn since it was kept: on the first 401 a new one is tried.
  private func readAsInstallation(
    _ id: String, _ review: LeasedReview, _ access: Access, lifetime: Duration,
    until deadline: ContinuousClock.Instant?
  ) async throws(CollectFailure) -> CollectedPullRequest {
    let token = try await installationToken(id, lifetime: lifetime)
    do {
      return try await read(
        review, access, token: token, account: InstallationTokens.account(of: id), until: deadline)
    } catch .call(.unauthorized, _) {
      tokens?.forget(token, of: id)
      let token = try await installationToken(id, lifetime: lifetime)
      return try await read(
        review, access, token: token, account: InstallationTokens.account(of: id), until: deadline)
    }
  }

  private func installationToken(_ id: String, lifetime: Duration) async throws(CollectFailure) -> Secret {
    guard let tokens else { throw .call(.refused(message: "no app is configured")) }
    do {
      return try await tokens.token(of: id, for: lifetime)
    } catch {
      throw InstallationFault.failure(error, installation: id, isAppProven: tokens.hasProvenApp)
    }
  }
}

/// What a failed request for an installation token means.
enum InstallationFault {
  /// - Parameters:
  ///   - fault: of the request.
  ///   - installation: whose token was asked for.
  ///   - isAppProven: whether the app's id and key are known to be right: until then no review is lost for a 404.
  static func failure(_ fault: APIFault, installation: String, isAppProven: Bool) -> CollectFailure {
    switch fault {
    case .missing where !isAppProven: .wait(message: unknown(installation), for: .seconds(60))
    case .missing:
      .permanent(
        .integrationRevoked,
        message: "The GitHub App is not installed any more (installation \(installation)); the owner has to install it."
      )
    // The app's own key or clock is at fault, for all its installations alike: none of their reviews may be lost for that.
    case .unauthorized(let message):
      .wait(message: signatureRefused(message), for: .seconds(60))
    case .refused(let message) where message.contains("suspended"):
      .permanent(
        .integrationRevoked,
        message: "The GitHub App is suspended for installation \(installation); the owner has to unsuspend it.")
    case .refused(let message):
      .permanent(
        .platformRefused,
        message: "GitHub gives no token for installation \(installation), \(message). Check the app's permissions.")
    default: .call(fault, hint: "It concerned a token of installation \(installation).")
    }
  }

  /// GitHub's 401 to the app itself, and what to do.
  static func signatureRefused(_ message: String) -> String {
    "GitHub does not accept the app's signature, \(message). "
      + "Check BATON_GITHUB_APP_ID, BATON_GITHUB_PRIVATE_KEY and the clock."
  }

  /// GitHub's 404 to an app that has got no token yet, and what to do.
  static func unknown(_ installation: String) -> String {
    "GitHub knows no installation \(installation) of this app, and has given this process no token of another one: "
      + "BATON_GITHUB_APP_ID and BATON_GITHUB_PRIVATE_KEY may be another app's, or the app is not installed any more."
  }

  /// No app is set, and what to do.
  static func withoutApp(_ installation: String) -> String {
    "this process can get no token of installation \(installation): set BATON_GITHUB_APP_ID and BATON_GITHUB_PRIVATE_KEY."
  }
}
