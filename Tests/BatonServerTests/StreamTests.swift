import BatonServer
import Foundation
import HTTPKit
import Logging
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import ServiceLifecycle
import Support
import Telemetry
import Testing

@Suite("Event stream", .timeLimit(.minutes(1)))
struct StreamTests {
  @Test("an open stream ends immediately when the server shuts down, and delays nothing")
  func gracefulShutdown() async throws {
    let pool = PostgresPool(
      PostgresConfiguration(conninfo: "postgresql://127.0.0.1:1/none", applicationName: "tests"),
      logger: ServerHarness.silent)
    let registry = PrometheusRegistry()
    let (ports, bound) = AsyncStream.makeStream(of: Int.self)
    let server = BatonServer(
      configuration: .init(
        host: "127.0.0.1", port: 0, apiToken: SecretList(Secret("t0ken")),
        heartbeatTimeout: WatchPolicy.sample.times.heartbeatTimeout, watch: .sample),
      store: ReviewStore(pool: pool, logger: ServerHarness.silent),
      queueStats: { nil }, deadLetters: DeadLetterAccess(peek: { _ in [] }, delete: { _, _ in 0 }),
      metrics: BatonMetrics(factory: registry), registry: registry,
      readiness: Readiness(), logger: ServerHarness.silent, onBound: { port in bound.yield(port) })
    let services = ServiceGroup(services: [server], logger: ServerHarness.silent)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await services.run() }
      var iterator = ports.makeAsyncIterator()
      let client = RawHTTPClient(port: try #require(await iterator.next()))
      group.addTask {
        let head = "GET /live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t0ken\r\n\r\n"
        let reply = try await client.exchange(Array(head.utf8))
        #expect(reply?.headers["content-type"] == "text/event-stream; charset=utf-8")
        #expect(reply?.body.contains("retry: 3000") == true)
      }
      try await eventually("the stream to be open") {
        try await client.send("GET", "/metrics").body.contains(#"route="/live",status="200"} 1"#)
      }
      await services.triggerGracefulShutdown()
      try await group.waitForAll()
    }
    await pool.close()
  }
}
