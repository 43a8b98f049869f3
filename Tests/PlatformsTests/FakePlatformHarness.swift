import AsyncHTTPClient
import Foundation
import HTTPTrust
import Logging
import Primitives
import Reviews
import Sandbox
import ServiceLifecycle

@testable import Platforms

/// Runs the stand-in on a free port for one test, and a preparer that calls it.
struct FakePlatformHarness {
  let fakePlatform: FakePlatform
  let port: Int
  let client: HTTPClient

  var address: String { "http://127.0.0.1:\(port)" }

  /// What a process calls the stand-in with.
  func access(
    app: (id: String, key: Secret)? = nil, timeout: Duration = .seconds(20), gitlabHosts: [String] = ["127.0.0.1"],
    tokens: (any IntegrationTokenStore)? = nil, now: @escaping @Sendable () -> Date = { Date() },
    isClockCorrected: Bool = false
  ) throws -> PlatformAccess {
    try PlatformAccess(
      settings: PlatformSettings(
        githubAPIURL: address, githubAppID: app?.id, githubPrivateKey: app?.key, gitlabHosts: gitlabHosts,
        encryptionKeys: [Samples.key], callTimeout: timeout),
      httpClient: client, integrationTokens: tokens, now: now, isClockCorrected: isClockCorrected, logger: Self.logger)
  }

  /// The preparer of a process of its own.
  func preparer(
    app: (id: String, key: Secret)? = nil, timeout: Duration = .seconds(20), circuits: Circuits = Circuits(),
    timeMax: Duration? = nil, flags: any FeatureFlags = SettingsFlags(), tokens: (any IntegrationTokenStore)? = nil,
    now: @escaping @Sendable () -> Date = { Date() }
  ) throws -> PlatformPreparer {
    PlatformPreparer(
      access: try access(app: app, timeout: timeout, tokens: tokens, now: now), circuits: circuits,
      timeMax: timeMax, flags: flags, logger: Self.logger)
  }

  static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  static func run(_ body: @Sendable (FakePlatformHarness) async throws -> Void) async throws {
    let (ports, port) = AsyncStream.makeStream(of: Int.self)
    let fakePlatform = FakePlatform(logger: logger) { port.yield($0) }
    let group = ServiceGroup(services: [fakePlatform], logger: logger)
    let client = PlatformAccess.makeHTTPClient(connectionMax: 16, trust: HTTPTrust())
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask {
        defer { port.finish() }
        try await group.run()
      }
      var iterator = ports.makeAsyncIterator()
      guard let bound = await iterator.next() else { throw NotBound() }
      let outcome: Result<Void, any Error>
      do {
        try await body(FakePlatformHarness(fakePlatform: fakePlatform, port: bound, client: client))
        outcome = .success(())
      } catch {
        outcome = .failure(error)
      }
      try await client.shutdown()
      await group.triggerGracefulShutdown()
      try await tasks.waitForAll()
      try outcome.get()
    }
  }

  struct NotBound: Error {}
}
