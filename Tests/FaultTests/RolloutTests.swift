import Foundation
import PostgresClient
import Primitives
import Reviews
import Support
import Synchronization
import Testing

/// Two servers, or two processes of all roles, behind a load balancer that learns from probes, as a Service of Kubernetes or a proxy does.
@Suite("A rolling deploy of the servers", .serialized, .timeLimit(.minutes(5)))
struct RolloutTests {
  /// Sends to a server whose last probe was good.
  private final class Balancer: Sendable {
    private let ready: Mutex<[Int: Bool]>
    private let next = Mutex(0)

    init(_ ports: [Int]) { ready = Mutex(Dictionary(uniqueKeysWithValues: ports.map { ($0, false) })) }

    /// Probes all servers, as often as a test has patience for.
    func probe() async {
      while !Task.isCancelled {
        for port in ready.withLock({ Array($0.keys) }) {
          let status = try? await RawHTTPClient(port: port).send("GET", "/readyz").status
          ready.withLock { $0[port] = status == 200 }
        }
        try? await Task.sleep(for: .milliseconds(200))
      }
    }

    func isReady(_ port: Int) -> Bool { ready.withLock { $0[port] ?? false } }

    func port() -> Int {
      let ports = ready.withLock { ports in ports.filter(\.value).keys.sorted() }
      let turn = next.withLock { turn in
        turn += 1
        return turn
      }
      return ports.isEmpty ? 0 : ports[turn % ports.count]
    }
  }

  private static func body(_ number: Int) -> [UInt8] {
    Array(
      """
      {"owner":{"type":"org","id":"acme"},"platform":"github","repoFullName":"acme/shop","prNumber":\(number),
       "prUrl":"https://github.com/acme/shop/pull/\(number)","prTitle":"t","prAuthor":"a","baseRef":"main","headRef":"h",
       "headSha":"abcdef1"}
      """.utf8)
  }

  @Test(
    "a server that ends says so to probes while it still takes requests, so that none of them is lost",
    arguments: ["serve", "up"])
  func nothingIsLost(role: String) async throws {
    let ports = [try BrokerServer.freePort(), try BrokerServer.freePort()]
    try await withTestCluster(settings: ["BATON_DRAIN_DELAY": "3s"]) { cluster in
      func serve(_ port: Int) async throws -> BatonProcess {
        try await cluster.start(role, settings: ["BATON_HTTP_PORT": "\(port)"])
      }
      var servers = [try await serve(ports[0]), try await serve(ports[1])]
      let balancer = Balancer(ports)
      let probing = Task { await balancer.probe() }
      try await eventually("both are ready") { ports.allSatisfy { balancer.isReady($0) } }
      let sent = Mutex(0)
      let lost = Mutex<[String]>([])
      // Ended by a flag: a cancelled request would count as lost.
      let isSending = Mutex(true)
      let sending = Task {
        while isSending.withLock({ $0 }) {
          let number = sent.withLock { count in
            count += 1
            return count
          }
          do {
            let reply = try await RawHTTPClient(port: balancer.port(), bearer: TestCluster.apiToken).send(
              "POST", "/api/reviews", body: Self.body(number))
            if reply.status != 201 { lost.withLock { $0.append("\(number): \(reply.status)") } }
          } catch {
            lost.withLock { $0.append("\(number): \(error)") }
          }
          try? await Task.sleep(for: .milliseconds(20))
        }
      }
      for (index, port) in ports.enumerated() {
        servers[index].signal(SIGTERM)
        try await eventually("the balancer has noticed") { !balancer.isReady(port) }
        #expect(await servers[index].wait() == 0, "\(servers[index].output)")
        servers[index] = try await serve(port)
        try await eventually("the new one is ready") { balancer.isReady(port) }
      }
      isSending.withLock { $0 = false }
      await sending.value
      probing.cancel()
      let count = sent.withLock { $0 }
      #expect(lost.withLock { $0 }.isEmpty)
      let rows = try await cluster.test.sql("SELECT count(*)::int FROM code_reviews")
      #expect(try rows[0].decode(0, as: Int32.self) == Int32(count))
      for server in servers {
        server.signal(SIGINT)
        #expect(await server.wait() == 0)
      }
    }
  }
}
