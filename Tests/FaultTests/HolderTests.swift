import Foundation
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

/// Which holders are considered dead, and which are not.
@Suite("Signs of life", .serialized, .timeLimit(.minutes(5)))
struct HolderTests {
  /// Times after which nothing is taken away within a test: only the lock of a dead process frees what it has.
  private static let patient = [
    "BATON_LEASE": "1h", "BATON_PREPARE_TIMEOUT": "1h", "BATON_PUBLISH_GRACE": "1h", "BATON_OWNER_LIMIT": "100",
  ]

  private func leasedCount(_ cluster: TestCluster) async throws -> Int {
    try await cluster.count("code_reviews WHERE lease_owner IS NOT NULL AND dispatched_at IS NULL")
  }

  /// No lease was taken away, counted or not.
  private func expectNoLoss(_ cluster: TestCluster) async throws {
    #expect(try await cluster.count("code_reviews WHERE lease_losses > 0 OR status = 'failed'") == 0)
    #expect(try await cluster.count("review_transitions WHERE reason = 'republished: lease_expired'") == 0)
    #expect(cluster.doubleRuns.isEmpty)
  }

  private func stop(_ processes: [BatonProcess]) async {
    for process in processes { process.signal(SIGTERM) }
    for process in processes { #expect(await process.wait() == 0, "\(process.output)") }
  }

  @Test("a consumer that cannot open its session again keeps what it has, takes nothing new, and says so in /readyz")
  func connectionLimit() async throws {
    try await withTestCluster(latency: .seconds(5), settings: ["BATON_OWNER_LIMIT": "100"]) { cluster in
      let role = try await cluster.test.addRole(connectionLimit: 20)
      let port = try BrokerServer.freePort()
      var limited = cluster
      limited.settings["BATON_DATABASE_URL"] = role.conninfo
      limited.settings["BATON_METRICS_PORT"] = "\(port)"
      let consumer = try await limited.start("consume")
      let others = [try await cluster.start("produce"), try await cluster.start("reap", "--interval", "1s")]
      _ = try await cluster.test.insert(10)
      try await eventually("it has all leases") { try await leasedCount(cluster) == 10 }
      // Its pool keeps its connections; a lost one cannot be replaced.
      try await role.limit(to: 1)
      try await cluster.test.sql(
        "SELECT pg_terminate_backend(backend_pid) FROM baton_holders WHERE role = 'consume'")
      try await eventually("/readyz names the holder") {
        let reply = try await RawHTTPClient(port: port).send("GET", "/readyz")
        return reply.status == 503 && reply.body.contains(#""holder":"the session"#)
      }
      try await eventually("it pauses") { consumer.output.contains("taking no deliveries until it is") }
      try await eventually("its lock was seen free for longer than a killed process has") {
        try await cluster.count(
          """
          baton_holders WHERE role = 'consume' AND lock_free_since IS NOT NULL
             AND started_at < now() - interval '5 seconds'
          """) == 1
      }
      let more = try await cluster.test.insert(3)
      try await eventually("what it had is dispatched") { try await cluster.dispatchedCount() == 10 }
      try await eventually("the others are queued") {
        try await cluster.count("code_reviews WHERE status = 'queued'") == 13
      }
      for id in more { #expect(try await cluster.test.row(id).leaseOwner == nil) }
      try await expectNoLoss(cluster)

      try await role.limit(to: 20)
      try await eventually("all are dispatched") { try await cluster.dispatchedCount() == 13 }
      let reply = try await RawHTTPClient(port: port).send("GET", "/readyz")
      #expect(reply.status == 200 && reply.body.contains(#""holder":"ok""#), "\(reply.body)")
      try await expectNoLoss(cluster)
      await stop([consumer] + others)
      try await role.drop()
    }
  }

  @Test("Postgres stands still for longer than a lease, and then goes on: no lease of a living consumer is lost")
  func standstill() async throws {
    try await withOwnPostgres { server in
      let settings = ["BATON_LEASE": "3s", "BATON_OWNER_LIMIT": "100", "BATON_PUBLISH_GRACE": "1h"]
      try await withTestCluster(latency: .seconds(5), on: server.url, settings: settings) { cluster in
        let processes = [
          try await cluster.start("consume", "--prefetch", "10"),
          try await cluster.start("consume", "--prefetch", "10"),
          try await cluster.start("produce"), try await cluster.start("reap", "--interval", "1s"),
          try await cluster.start("reap", "--interval", "1s"),
        ]
        let ids = try await cluster.test.insert(20)
        try await eventually("all are leased") { try await leasedCount(cluster) == ids.count }
        try server.signal(SIGSTOP)
        try await Task.sleep(for: .seconds(8))
        try server.signal(SIGCONT)
        try await eventually("all are dispatched") { try await cluster.dispatchedCount() == ids.count }
        try await expectNoLoss(cluster)
        await stop(processes)
      }
    }
  }

  @Test("Postgres is restarted while consumers have leases: no lease of a living consumer is lost")
  func restart() async throws {
    try await withOwnPostgres { server in
      let settings = ["BATON_LEASE": "3s", "BATON_OWNER_LIMIT": "100", "BATON_PUBLISH_GRACE": "1h"]
      try await withTestCluster(latency: .seconds(5), on: server.url, settings: settings) { cluster in
        let processes = [
          try await cluster.start("consume", "--prefetch", "20"), try await cluster.start("produce"),
          try await cluster.start("reap", "--interval", "1s"), try await cluster.start("reap", "--interval", "1s"),
        ]
        let ids = try await cluster.test.insert(15)
        try await eventually("all are leased") { try await leasedCount(cluster) == ids.count }
        try await server.stop()
        try await Task.sleep(for: .seconds(4))
        try await server.start()
        try await eventually("all are dispatched") { (try? await cluster.dispatchedCount()) == ids.count }
        try await expectNoLoss(cluster)
        await stop(processes)
      }
    }
  }

  @Test("a killed consumer's leases are free by its lock alone, and counted once")
  func killed() async throws {
    try await withTestCluster(latency: .seconds(2), settings: Self.patient) { cluster in
      let producer = try await cluster.start("produce")
      let victim = try await cluster.start("consume")
      _ = try await cluster.test.insert(5)
      try await eventually("it has all leases") { try await leasedCount(cluster) == 5 }
      let other = try await cluster.start("consume")
      await victim.die()
      try await eventually("all are dispatched") { try await cluster.dispatchedCount() == 5 }
      #expect(try await cluster.count("code_reviews WHERE lease_losses = 1") == 5)
      #expect(cluster.doubleRuns.isEmpty)
      await stop([producer, other])
    }
  }

  @Test("after everything was killed, one pass of cron's reaper takes what the dead had")
  func onePass() async throws {
    try await withTestCluster(latency: .seconds(2), settings: Self.patient) { cluster in
      let killed = [try await cluster.start("produce"), try await cluster.start("consume")]
      _ = try await cluster.test.insert(5)
      try await eventually("all are leased") { try await leasedCount(cluster) == 5 }
      for process in killed { await process.die() }
      let pass = try await cluster.run("reap")
      #expect(pass.status == 0 && pass.output.contains(#""leaseExpired":5"#), "\(pass.output)")
      #expect(try await leasedCount(cluster) == 0)
      let consumer = try await cluster.start("consume")
      try await eventually("all are dispatched") { try await cluster.dispatchedCount() == 5 }
      #expect(cluster.doubleRuns.isEmpty)
      await stop([consumer])
    }
  }

  @Test("a holder whose row was deleted is known again with its lock, and goes on")
  func pruned() async throws {
    try await withTestCluster(latency: .zero, settings: Self.patient) { cluster in
      let processes = [try await cluster.start("produce"), try await cluster.start("consume")]
      try await eventually("both have signed on") {
        try await cluster.count("baton_holders WHERE backend_pid > 0") == 2
      }
      try await cluster.test.sql("DELETE FROM baton_holders")
      try await eventually("both have signed on again") {
        try await cluster.count("baton_holders WHERE backend_pid > 0") == 2
      }
      try await cluster.test.store.lookAtHolders()
      #expect(try await cluster.count("baton_holders WHERE lock_free_since IS NULL") == 2)
      _ = try await cluster.test.insert(3)
      try await eventually("all are dispatched") { try await cluster.dispatchedCount() == 3 }
      await stop(processes)
    }
  }
}
