import Foundation
import PostgresClient
import Reviews
import Support
import Testing

@Suite("Failover of Postgres", .serialized, .timeLimit(.minutes(10)))
struct FailoverTests {
  @Test(
    "the standby is promoted: behind one address and by a list of hosts, every role goes on by itself, and probes report it"
  )
  func promotion() async throws {
    let pair = try await PostgresPair.make()
    let proxy = try await TCPProxy(to: pair.primary.port)
    do {
      try await run(pair, proxy)
    } catch {
      await proxy.stop()
      await pair.remove()
      throw error
    }
    await proxy.stop()
    await pair.remove()
  }

  private func run(_ pair: PostgresPair, _ proxy: TCPProxy) async throws {
    // The standby comes first: it accepts connections, and no writes.
    let hosts = "127.0.0.1:\(pair.standby.port),127.0.0.1:\(pair.primary.port)"
    let server = "postgresql://postgres@\(hosts)/postgres"
    let port = try BrokerServer.freePort()
    try await withTestCluster(
      latency: .milliseconds(50), on: server,
      settings: ["BATON_OWNER_LIMIT": "200", "BATON_HTTP_PORT": "\(port)"]
    ) { cluster in
      let oneAddress = ["BATON_DATABASE_URL": cluster.test.conninfo.replacing(hosts, with: "127.0.0.1:\(proxy.port)")]
      let processes = [
        try await cluster.start("produce"),
        try await cluster.start("consume", settings: oneAddress),
        try await cluster.start("reap", "--interval", "1s", settings: oneAddress),
        try await cluster.start("serve", settings: oneAddress),
      ]
      let client = RawHTTPClient(port: port)
      func ready() async -> HTTPReply? { try? await client.send("GET", "/readyz") }
      try await eventually("ready") { await ready()?.status == 200 }
      let first = try await cluster.test.insert(20)
      try await eventually("the first are dispatched") { try await cluster.dispatchedCount() == first.count }

      // The one address leads to the standby before that is promoted.
      proxy.redirect(to: pair.standby.port)
      try await eventually("not ready, as Postgres can only read") {
        guard let reply = await ready() else { return false }
        return reply.status == 503 && reply.body.contains("can only read")
      }
      proxy.redirect(to: pair.primary.port)
      try await eventually("ready again") { await ready()?.status == 200 }
      _ = try await cluster.test.insert(20, owner: "beta")
      try await pair.losePrimary()
      proxy.redirect(to: pair.standby.port)
      try await eventually("not ready while nothing can write") { await ready()?.status == 503 }
      try await pair.promote()
      try await eventually("ready after the promotion") { await ready()?.status == 200 }
      try await eventually("the rest is dispatched") { (try? await cluster.dispatchedCount()) == 40 }
      let last = try await cluster.test.insert(10, owner: "gamma")
      try await eventually("new ones as well") { (try? await cluster.dispatchedCount()) == 40 + last.count }
      #expect(cluster.doubleRuns.isEmpty)
      let failed = try await cluster.test.sql(
        "SELECT count(*) FROM code_reviews WHERE status = 'failed' OR attempt > 1 OR dispatch_failures > 0")
      #expect(try failed[0].decode(0, as: Int.self) == 0)
      for process in processes { process.signal(SIGTERM) }
      for process in processes { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }
}
