internal import FoundationEssentials
internal import NIOHTTP1
internal import Primitives
internal import Resilience
internal import Reviews
internal import Synchronization

/// The installation tokens of a GitHub App: one per installation, minted once for all who need it, kept until it is too old.
final class InstallationTokens: Sendable {
  /// A token is given out only while it has at least this long to live.
  static let margin: Duration = .seconds(300)
  /// How long a token lives whose end cannot be read, in seconds.
  private static let lifetime: TimeInterval = 3_600
  /// Above this many, those that have expired are dropped.
  private static let countMax = 4_096

  private struct Token: Sendable {
    var secret: Secret
    var expires: Date
  }

  private let app: GitHubApp
  private let client: APIClient
  private let tokens = Mutex<[String: Token]>([:])
  private let isAppProven = Mutex(false)
  private let flights = SingleFlight<String, Token>()

  init(app: GitHubApp, client: APIClient) {
    self.app = app
    self.client = client
  }

  /// Whether GitHub has given a token of any installation: the app's id and key are those of the app that the owners have installed. With another
  /// app's the signature is right as well, and every installation is unknown.
  var hasProvenApp: Bool { isAppProven.withLock { $0 } }

  /// Whose rate limit an installation's calls count against: its tokens come and go, its limit stays.
  static func account(of installation: String) -> String { "installation \(installation)" }

  /// A token of an installation.
  /// - Parameter lifetime: how long it is needed; a token that ends earlier is minted anew.
  func token(of installation: String, for lifetime: Duration) async throws(APIFault) -> Secret {
    let needed = max(lifetime, Self.margin)
    if let known = kept(installation, for: needed) { return known.secret }
    do {
      return try await flights.run(installation) {
        // Another flight may have landed between the look and the start of this one.
        if let known = self.kept(installation, for: needed) { return known }
        return try await self.mint(installation)
      }.secret
    } catch let fault as APIFault {
      throw fault
    } catch {
      throw .cancelled
    }
  }

  /// Drops a token that GitHub no longer takes, unless a newer one has come since.
  func forget(_ secret: Secret, of installation: String) {
    tokens.withLock { if $0[installation]?.secret == secret { $0[installation] = nil } }
  }

  private func kept(_ installation: String, for needed: Duration) -> Token? {
    tokens.withLock { $0[installation] }.flatMap { isFresh($0, for: needed) ? $0 : nil }
  }

  private func isFresh(_ token: Token, for needed: Duration) -> Bool {
    token.expires.timeIntervalSince(client.now()) >= Double(needed.components.seconds)
  }

  /// Calls in the name of the app itself. Its signature says when it was made, so it calls once more if the refusal has shown that this
  /// machine's clock is wrong.
  /// - Parameters:
  ///   - account: whose rate limit the calls count against.
  ///   - body: makes them.
  func asApp<Value: Sendable>(
    account: String = "app", _ body: (APICaller) async throws(APIFault) -> Value
  ) async throws(APIFault) -> Value {
    let correction = client.clockCorrection
    do {
      return try await body(try appCaller(account))
    } catch .unauthorized where client.clockCorrection != correction {
      return try await body(try appCaller(account))
    }
  }

  private func appCaller(_ account: String) throws(APIFault) -> APICaller {
    guard let jwt = try? app.token(now: client.now()) else {
      // Sorted with GitHub's own 401: it is the app's key, not the installation.
      throw .unauthorized(message: "the app's key cannot sign")
    }
    return GitHubSource.caller(jwt, account: account)
  }

  private func mint(_ installation: String) async throws -> Token {
    let answer = try await asApp(account: Self.account(of: installation)) { caller throws(APIFault) in
      try await client.post(
        "/app/installations/\(installation.percentEncoded)/access_tokens", as: caller, [String: String]())
    }
    let wire = try APIClient.decode(Wire.self, from: answer.body)
    // GitHub's tokens live for an hour.
    let expires =
      LenientTime.read(wire.expires_at).map { Date($0) } ?? client.now().addingTimeInterval(Self.lifetime)
    let token = Token(secret: Secret(wire.token), expires: expires)
    isAppProven.withLock { $0 = true }
    tokens.withLock {
      if $0.count >= Self.countMax { $0 = $0.filter { isFresh($0.value, for: Self.margin) } }
      $0[installation] = token
    }
    return token
  }

  private struct Wire: Decodable {
    var token: String
    var expires_at: JSONValue?
  }
}
