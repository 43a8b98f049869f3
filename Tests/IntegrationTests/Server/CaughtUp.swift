import AsyncHTTPClient
import BatonServer
import CryptoExtras
import Foundation
import HTTPTrust
import Platforms
import PostgresClient
import Primitives
import Sandbox
import Support
import Synchronization
import Testing

/// A server and a GitHub next to it, which delivers webhooks to it once each.
struct CaughtUp: Sendable {
  let stack: ServerStack
  let github: FakePlatform
  let questions: PlatformQuestions
  let isDown = Flag()

  final class Flag: Sendable {
    private let value = Mutex(false)
    var isSet: Bool { value.withLock { $0 } }
    func set(_ isSet: Bool) { value.withLock { $0 = isSet } }
  }

  // swift-format-ignore: NeverUseForceTry
  private static let key = try! _RSA.Signing.PrivateKey(keySize: .bits2048)

  var catchUp: CatchUp {
    CatchUp(store: stack.store, questions: questions, interval: .seconds(300), age: .zero, logger: ServerStack.silent)
  }

  /// Has the server judge what was stored.
  func judge() async throws {
    try await stack.run("UPDATE webhook_deliveries SET due_at = now() WHERE processed_at IS NULL")
    try await WebhookIntake(store: stack.store, logger: ServerStack.silent).processDue()
  }

  func pass() async throws -> CatchUpCounts { try await catchUp.runOnce(until: .now + .seconds(120)) }

  static func run(
    callTimeout: Duration = .seconds(10), _ body: @escaping @Sendable (CaughtUp) async throws -> Void
  ) async throws {
    try await withServerStack { stack in
      let (ports, port) = AsyncStream.makeStream(of: Int.self)
      let github = FakePlatform(logger: ServerStack.silent) { port.yield($0) }
      let client = PlatformAccess.makeHTTPClient(connectionMax: 4, trust: HTTPTrust())
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          defer { port.finish() }
          try await github.run()
        }
        var iterator = ports.makeAsyncIterator()
        guard let bound = await iterator.next() else { throw NoReply(request: "the fake GitHub") }
        let result: Swift.Result<Void, any Error>
        do {
          let access = try PlatformAccess(
            settings: PlatformSettings(
              githubAPIURL: "http://127.0.0.1:\(bound)", githubAppID: "5",
              githubPrivateKey: Secret(key.pemRepresentation), gitlabHosts: ["127.0.0.1"],
              encryptionKeys: [Array(repeating: 7, count: 32)], callTimeout: callTimeout),
            httpClient: client, integrationTokens: nil, logger: ServerStack.silent)
          let caughtUp = CaughtUp(stack: stack, github: github, questions: PlatformQuestions(access: access))
          github.setHook { [isDown = caughtUp.isDown] event, body in
            guard !isDown.isSet else { return 0 }
            return (try? await stack.client.send(.github(event: event, body)).status) ?? 0
          }
          try await body(caughtUp)
          result = .success(())
        } catch {
          result = .failure(error)
        }
        try await client.shutdown()
        group.cancelAll()
        while let ended = await group.nextResult() { _ = ended }
        try result.get()
      }
    }
  }

  func pull(
    _ number: Int, sha: String, repository: String = "acme/shop", draft: Bool = false,
    at time: String = "2026-01-01T10:00:00Z", state: String = "open"
  ) -> String {
    """
    {"number":\(number),"state":"\(state)","html_url":"https://github.com/\(repository)/pull/\(number)","title":"T","draft":\(draft),
     "updated_at":"\(time)","user":{"login":"ann","type":"User"},"labels":[],
     "base":{"ref":"main","sha":"b","repo":{"id":9,"full_name":"\(repository)"}},
     "head":{"ref":"fast","sha":"\(sha)","repo":{"id":9,"full_name":"\(repository)"}}}
    """
  }

  func push(_ number: Int, sha: String) -> String { event("opened", pull(number, sha: sha)) }

  func event(_ action: String, _ pull: String) -> String {
    """
    {"action":"\(action)","installation":{"id":1},"repository":{"id":9,"full_name":"acme/shop"},
     "pull_request":\(pull)}
    """
  }

  /// Adds checks that are to be shown at a GitLab.
  func addChecks(_ count: Int, atPort port: Int) async throws {
    let id = try await stack.addGitLab()
    let token = try ServerStack.cipher.seal(Secret("glpat-x"), for: id)
    _ = try await stack.pool.query(
      PostgresStatement(
        unprepared: "UPDATE platform_integrations SET instance_url = $2, token_ciphertext = $3 WHERE id = $1"),
      [id, "http://127.0.0.1:\(port)", token])
    let check =
      #"{"repository":"acme/shop","projectId":5,"url":"http://127.0.0.1:\#(port)/acme/shop/-/merge_requests/1","#
      + #""sha":"\#(sha(7))","conclusion":"neutral","title":"t","summary":"s","externalId":"x"}"#
    try await stack.run(
      """
      INSERT INTO baton_platform_tasks (kind, key, integration_id, payload, due_at, host)
      SELECT 'check', 'check ' || n, '\(id.uuidString)', '\(check)', now() - interval '1 minute', 'http://127.0.0.1:\(port)'
        FROM generate_series(1, \(count)) n
      """)
  }

  func sha(_ number: Int) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 40 - digits.count) + digits
  }
}
