import AsyncHTTPClient
import Foundation
import Logging
import Primitives
import Reviews
import Sandbox
import Synchronization
import Testing
import WorkerAPI

@testable import Platforms

@Suite("Flags of settings")
struct SettingsFlagsTests {
  private let owners = (0..<2_000).map { Owner(type: .org, id: "owner-\($0)") }

  private func reached(_ percent: Int, version: String = "v2") -> Set<Owner> {
    let flags = SettingsFlags(version: version, percent: percent)
    return Set(owners.filter { flags.agentVersion(for: $0) == version })
  }

  @Test("without a version or with 0 percent no owner gets one, with 100 percent every owner does")
  func edges() {
    #expect(owners.allSatisfy { SettingsFlags().agentVersion(for: $0) == nil })
    #expect(reached(0).isEmpty)
    #expect(reached(100).count == owners.count)
  }

  @Test("a share reaches about as many owners, and a larger one all of them again")
  func shares() {
    var smaller: Set<Owner> = []
    for percent in [1, 10, 25, 50, 90] {
      let reached = reached(percent)
      #expect(reached.isSuperset(of: smaller))
      // Four standard deviations at most: the owners reached are fixed, so this holds always or never.
      #expect(abs(Double(reached.count) / 20 - Double(percent)) < 4.5, "\(percent): \(reached.count)")
      smaller = reached
    }
  }

  @Test("the owners reached are the same in every process, and others are first for another version")
  func stable() {
    #expect(SettingsFlags.place(of: Owner(type: .org, id: "acme"), for: "v2") == 9_122)
    #expect(SettingsFlags.place(of: Owner(type: .user, id: "42"), for: "v2") == 5_668)
    #expect(reached(10) != reached(10, version: "v3"))
  }
}

@Suite("Flags of PostHog", .timeLimit(.minutes(1)))
struct PostHogFlagsTests {
  private static let acme = Owner(type: .org, id: "acme")

  private static func flags(
    _ address: String, _ client: HTTPClient, fallback: SettingsFlags = SettingsFlags(version: "fallback"),
    timeout: Duration = .seconds(20), clock: ManualClock = ManualClock()
  ) throws -> PostHogFlags {
    let flags = PostHogFlags(
      url: address, key: Secret("phc_hush"), fallback: fallback, httpClient: client, timeout: timeout,
      now: { clock.now }, logger: FakePlatformHarness.logger)
    return try #require(flags)
  }

  @Test("a variant is the version; on without one gives the settings' version; off gives none")
  func verdicts() async throws {
    try await FakePostHog.run { fakePlatform, address, client throws in
      let fallback = SettingsFlags(version: "fallback", percent: 0)
      fakePlatform.answer(isEnabled: true, variant: "v3")
      #expect(try await Self.flags(address, client).agentVersion(for: Self.acme) == "v3")
      fakePlatform.answer(isEnabled: true)
      #expect(try await Self.flags(address, client, fallback: fallback).agentVersion(for: Self.acme) == "fallback")
      fakePlatform.answer(isEnabled: false)
      #expect(try await Self.flags(address, client).agentVersion(for: Self.acme) == nil)
    }
  }

  @Test("the owner is asked for with the project's key, in the body")
  func request() async throws {
    try await FakePostHog.run { fakePlatform, address, client in
      _ = try await Self.flags(address, client).agentVersion(for: Self.acme)
      let body = try #require(fakePlatform.bodies.first)
      #expect(body["api_key"] == .string("phc_hush") && body["distinct_id"] == .string("org:acme"))
    }
  }

  @Test(
    "whatever else is answered, the settings decide",
    arguments: [
      FakePostHog.Answer.json(#"{"flags":{}}"#), .json(#"{"flags":{},"quotaLimited":["feature_flags"]}"#),
      .json(#"{"flags":{"baton-agent-version":7}}"#), .json("nonsense"), .status(401), .status(429), .status(500),
      .status(302),
    ])
  func faults(answer: FakePostHog.Answer) async throws {
    try await FakePostHog.run { fakePlatform, address, client in
      fakePlatform.answer(with: answer)
      let flags = try Self.flags(address, client)
      #expect(await flags.agentVersion(for: Self.acme) == "fallback")
    }
  }

  @Test("PostHog is not waited for beyond its time, and is not asked again at once after two time-outs")
  func silence() async throws {
    try await FakePostHog.run { fakePlatform, address, client in
      fakePlatform.answer(with: .silence)
      let flags = try Self.flags(address, client, timeout: .milliseconds(50))
      for index in 0..<5 {
        #expect(await flags.agentVersion(for: Owner(type: .org, id: "\(index)")) == "fallback")
      }
      #expect(fakePlatform.bodies.count <= 2)
    }
  }

  @Test("an answer holds for five minutes, for each owner its own")
  func cached() async throws {
    try await FakePostHog.run { fakePlatform, address, client in
      let clock = ManualClock()
      let flags = try Self.flags(address, client, clock: clock)
      fakePlatform.answer(isEnabled: true, variant: "v3")
      for _ in 0..<3 { #expect(await flags.agentVersion(for: Self.acme) == "v3") }
      #expect(fakePlatform.bodies.count == 1)
      fakePlatform.answer(isEnabled: true, variant: "v4")
      #expect(await flags.agentVersion(for: Owner(type: .user, id: "acme")) == "v4")
      #expect(await flags.agentVersion(for: Self.acme) == "v3")
      clock.advance(by: PostHogFlags.lifetime)
      #expect(await flags.agentVersion(for: Self.acme) == "v4")
      #expect(fakePlatform.bodies.count == 3)
    }
  }

  @Test("many reviews of one owner at once ask once")
  func singleFlight() async throws {
    try await FakePostHog.run { fakePlatform, address, client in
      fakePlatform.answer(isEnabled: true, variant: "v3")
      let flags = try Self.flags(address, client)
      let versions = await withTaskGroup(of: String?.self) { group in
        for _ in 0..<50 { group.addTask { await flags.agentVersion(for: Self.acme) } }
        return await group.reduce(into: Set<String?>()) { $0.insert($1) }
      }
      #expect(versions == ["v3"])
      #expect(fakePlatform.bodies.count == 1)
    }
  }

  @Test("an invalid address makes no client")
  func address() throws {
    #expect(
      PostHogFlags(
        url: "eu.i.posthog.com", key: Secret("k"), fallback: SettingsFlags(), httpClient: .shared,
        logger: FakePlatformHarness.logger) == nil)
  }
}

@Suite("Agent version")
struct AgentVersionTests {
  /// Has one answer for all.
  private struct Fixed: FeatureFlags {
    var version: String?
    func agentVersion(for owner: Owner) async -> String? { version }
  }

  private func version(configuration: String, flag: String?) async throws -> [String?] {
    let versions = Mutex<[String?]>([])
    try await FakePlatformHarness.run { harness in
      let preparer = try harness.preparer(flags: Fixed(version: flag))
      let payload = try await preparer.prepare(Samples.review(configuration: configuration))
      let request = try JSONDecoder().decode(StartRequest.self, from: Data(payload.body))
      versions.withLock { $0 = [request.agentVersion, payload.agentVersion] }
    }
    return versions.withLock { $0 }
  }

  @Test("the configuration's wins, else the flag's, else there is none")
  func precedence() async throws {
    #expect(try await version(configuration: #"{"agent_version":"v1"}"#, flag: "v2") == ["v1", "v1"])
    #expect(try await version(configuration: "{}", flag: "v2") == ["v2", "v2"])
    #expect(try await version(configuration: "{}", flag: nil) == [nil, nil])
  }
}

/// A clock that stands still until it is moved.
final class ManualClock: Sendable {
  private let time = Mutex(ContinuousClock.now)

  var now: ContinuousClock.Instant { time.withLock { $0 } }

  func advance(by duration: Duration) { time.withLock { $0 += duration } }
}
