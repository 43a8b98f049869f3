import BatonServer
import Foundation
import HTTPKit
import ServiceLifecycle
import Support
import Telemetry
import Testing

@Suite("Readiness")
struct ReadinessTests {
  @Test("a check that hangs counts as missing, does not hold up the others, and is asked once however many ask")
  func hangs() async throws {
    let readiness = Readiness(timeout: .milliseconds(50))
    let asked = Count()
    let (opened, open) = AsyncStream.makeStream(of: Void.self)
    readiness.register("broker") {
      await asked.increment()
      for await _ in opened {}
      return nil
    }
    readiness.register("postgres") { nil }
    for _ in 0..<3 {
      let report = await readiness.report()
      #expect(!report.isReady)
      #expect(report.checks["broker"]??.contains("no answer") == true)
    }
    #expect(await asked.value == 1)
    open.finish()
    try await eventually("the check answers") { await readiness.report().isReady }
    #expect(await readiness.report().checks["broker"] == .some(nil))
    #expect(await asked.value > 1)
  }

  @Test("what is missing is named, and a check of the same name replaces the earlier one")
  func missing() async {
    let readiness = Readiness()
    #expect(await readiness.report() == Readiness.Report(checks: [:]))
    readiness.register("broker") { "no connection" }
    #expect(await readiness.report() == Readiness.Report(checks: ["broker": "no connection"]))
    readiness.register("broker") { nil }
    #expect(await readiness.report().isReady)
  }
}

private actor Count {
  private(set) var value = 0

  func increment() { value += 1 }
}

@Suite("Scrapes")
struct ScrapeTests {
  @Test(
    "however many scrape and probe, what is measured is measured once a second", arguments: ["/metrics", "/readyz"])
  func flood(path: String) async throws {
    try await withServer { server in
      let count = Count()
      server.registry.onCollect { await count.increment() }
      server.readiness.register("slow") {
        await count.increment()
        return nil
      }
      let start = ContinuousClock.now
      try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<100 { group.addTask { try await server.client.send("GET", path).status } }
        for try await status in group { #expect(status == 200) }
      }
      let seconds = Int((ContinuousClock.now - start).components.seconds)
      #expect(await count.value <= seconds + 1)
    }
  }
}

@Suite("Server of the other roles")
struct HealthServerTests {
  @Test("it has health and metrics, and nothing else")
  func routes() async throws {
    let registry = PrometheusRegistry()
    let readiness = Readiness()
    readiness.register("postgres") { nil }
    let (ports, bound) = AsyncStream.makeStream(of: Int.self)
    let server = HealthServer(
      host: "127.0.0.1", port: 0, metrics: BatonMetrics(factory: registry), registry: registry, readiness: readiness,
      logger: ServerHarness.silent, onBound: { port in bound.yield(port) })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        defer { bound.finish() }
        try await server.run()
      }
      var iterator = ports.makeAsyncIterator()
      let client = RawHTTPClient(port: try #require(await iterator.next()))
      #expect(try await client.send("GET", "/livez").status == 200)
      #expect(try await client.send("GET", "/readyz").body == #"{"checks":{"postgres":"ok"},"status":"ready"}"#)
      #expect(try await client.send("GET", "/api/stats").status == 404)
      #expect(try await client.send("GET", "/metrics").body.contains(#"route="/livez",status="200"} 1"#))
      group.cancelAll()
      while let ended = await group.nextResult() { _ = ended }
    }
  }

  @Test("on shutdown it lets the running request end, closes idle connections and returns")
  func drains() async throws {
    let registry = PrometheusRegistry()
    let (ports, bound) = AsyncStream.makeStream(of: Int.self)
    let (scrapes, scraping) = AsyncStream.makeStream(of: Void.self)
    let (opened, open) = AsyncStream.makeStream(of: Void.self)
    registry.onCollect {
      scraping.yield()
      for await _ in opened {}
    }
    let server = HealthServer(
      host: "127.0.0.1", port: 0, metrics: BatonMetrics(factory: registry), registry: registry, readiness: Readiness(),
      logger: ServerHarness.silent, onBound: { port in bound.yield(port) })
    let group = ServiceGroup(configuration: .init(services: [server], logger: ServerHarness.silent))
    async let running: Void = group.run()
    var port = ports.makeAsyncIterator()
    let client = RawHTTPClient(port: try #require(await port.next()))
    async let reply = client.send("GET", "/metrics")
    var scrape = scrapes.makeAsyncIterator()
    await scrape.next()
    await group.triggerGracefulShutdown()
    open.finish()
    #expect(try await reply.status == 200)
    try await running
    await #expect(throws: (any Error).self) { try await client.send("GET", "/livez") }
  }

  @Test("an address that cannot be had is named in the error", arguments: ["192.0.2.1", "no.such.host.invalid"])
  func cannotListen(host: String) async {
    let registry = PrometheusRegistry()
    let server = HealthServer(
      host: host, port: 9, metrics: BatonMetrics(factory: registry), registry: registry, readiness: Readiness(),
      logger: ServerHarness.silent)
    let error = await #expect(throws: ListenError.self) { try await server.run() }
    #expect(error?.description.contains("\(host):9") == true)
  }
}
