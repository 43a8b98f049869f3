package import AsyncHTTPClient
internal import FoundationEssentials
package import HTTPTrust
package import Logging
internal import NIOHTTP1
package import Primitives
internal import Resilience
package import Reviews
internal import Synchronization

/// Flags by PostHog's flags endpoint: `POST {host}/flags?v=2` with the project's key and the owner (`org:acme`) as distinct id.
///
/// The flag `baton-agent-version` has a variant for each version; one that is on without a variant gives the settings' version.
/// An answer holds for five minutes. If PostHog gives no answer (unreachable, over its quota, or without such a flag), the settings
/// decide; while it fails repeatedly, it is not asked.
package final class PostHogFlags: FeatureFlags {
  /// The flag's key.
  package static let flag = "baton-agent-version"
  /// How long an answer holds.
  static let lifetime: Duration = .seconds(300)
  /// How many owners' answers are kept; a full cache is emptied.
  static let ownerCountMax = 10_000

  /// What PostHog says of an owner.
  enum Verdict: Sendable, Equatable {
    case off
    case on(variant: String?)
    /// There is no such flag, or it could not be computed.
    case unknown
  }

  private struct Known {
    var verdict: Verdict
    var until: ContinuousClock.Instant
  }

  private let client: APIClient
  private let key: Secret
  private let fallback: SettingsFlags
  private let circuit = Circuit(
    name: "posthog",
    breaker: CircuitBreaker(threshold: 2, openTime: Backoff(base: .seconds(10), max: .seconds(60))))
  private let flight = SingleFlight<Owner, Verdict>()
  private let known = Mutex<[Owner: Known]>([:])
  private let now: @Sendable () -> ContinuousClock.Instant
  private let logger: Logger

  /// - Parameters:
  ///   - url: base URL, such as `https://us.i.posthog.com`.
  ///   - key: the project's API key.
  ///   - fallback: decides where PostHog cannot.
  ///   - httpClient: makes the calls; the caller shuts it down.
  ///   - timeout: for one call, whole.
  ///   - trust: which certificates PostHog may have.
  ///   - now: the current time.
  ///   - logger: for what it reports.
  /// - Returns: nil if the URL is none.
  package init?(
    url: String, key: Secret, fallback: SettingsFlags, httpClient: HTTPClient, timeout: Duration = .seconds(2),
    trust: HTTPTrust = HTTPTrust(), now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }, logger: Logger
  ) {
    guard let base = APIBase(url) else { return nil }
    client = APIClient(
      base: base, httpClient: httpClient, timeout: timeout, deadlines: TimedOperations(0),
      clock: PlatformClock({ Date() }), limits: RateLimits(),
      answers: AnswerCache(), trust: trust)
    self.key = key
    self.fallback = fallback
    self.now = now
    self.logger = logger
  }

  package func agentVersion(for owner: Owner) async -> String? {
    switch await verdict(for: owner) {
    case .off: nil
    case .on(let variant?): variant
    case .on(nil): fallback.version
    case .unknown: fallback.agentVersion(for: owner)
    }
  }

  private func verdict(for owner: Owner) async -> Verdict {
    let now = now()
    if let known = known.withLock({ $0[owner] }), known.until > now { return known.verdict }
    // Only a cancelled preparation comes here with an error: its answer is thrown away.
    return (try? await flight.run(owner) { await self.ask(for: owner) }) ?? .unknown
  }

  /// Asks, and remembers the answer; a missing answer is not remembered.
  private func ask(for owner: Owner) async -> Verdict {
    if case .refused = circuit.admit() { return .unknown }
    do throws(APIFault) {
      let answer = try await client.post("/flags?v=2", as: Self.caller, question(about: owner))
      let verdict = try APIClient.decode(FlagsResponse.self, from: answer.body).verdict
      if circuit.succeeded() { logger.notice("PostHog answers again") }
      remember(verdict, of: owner)
      return verdict
    } catch {
      if error != .cancelled, circuit.failed() {
        logger.warning("PostHog does not answer: settings decide on the agent version", metadata: ["error": "\(error)"])
      }
      return .unknown
    }
  }

  private static let caller = APICaller(headers: ["accept": "application/json", "user-agent": "baton"], token: nil)

  private func question(about owner: Owner) -> JSONValue {
    .object([
      "api_key": .string(key.reveal()), "distinct_id": .string("\(owner)"), "geoip_disable": .bool(true),
      "flag_keys_to_evaluate": .array([.string(Self.flag)]),
    ])
  }

  private func remember(_ verdict: Verdict, of owner: Owner) {
    let known = Known(verdict: verdict, until: now() + Self.lifetime)
    self.known.withLock {
      if $0.count >= Self.ownerCountMax { $0.removeAll(keepingCapacity: true) }
      $0[owner] = known
    }
  }

  /// What the endpoint answers, as far as it matters.
  struct FlagsResponse: Decodable {
    struct Flag: Decodable {
      var enabled: Bool
      var variant: String?
    }

    var flags: [String: Flag]

    /// Over its quota PostHog answers with no flag at all.
    var verdict: Verdict {
      guard let flag = flags[PostHogFlags.flag] else { return .unknown }
      return flag.enabled ? .on(variant: flag.variant) : .off
    }
  }
}
