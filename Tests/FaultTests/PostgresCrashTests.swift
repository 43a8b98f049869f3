import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

/// Some commits do not wait for the disk. A crash of the server may undo them, and nothing else.
@Suite("Crashes of Postgres", .serialized, .timeLimit(.minutes(5)))
struct PostgresCrashTests {
  /// Runs the body on a server that keeps a commit in memory until another one waits for the disk.
  private func withForgetfulServer(_ body: (OwnPostgres, TestStore) async throws -> Void) async throws {
    try await withOwnPostgres { server in
      try await withTestStore(on: server.url) { test in
        try await test.sql("ALTER SYSTEM SET wal_writer_delay = '10s'")
        try await test.sql("SELECT pg_reload_conf()")
        try await test.signOn(test.holder)
        try await body(server, test)
      }
    }
  }

  private func crash(_ server: OwnPostgres, _ test: TestStore) async throws {
    try await server.crash()
    try await server.start()
    try await eventually("Postgres answers") { await test.pool.ping() }
  }

  @Test("a claim that a crash has undone: its ticket is rejected, the review is claimed again, and leased once")
  func undone() async throws {
    try await withForgetfulServer { server, test in
      // The server may have written the claim for a reason of its own. Then the lease follows as usual.
      for _ in 0..<5 {
        let id = try await test.insert(1)[0]
        let ticket = try await test.claim()[0].ticket
        try await crash(server, test)
        let isUndone = try await test.row(id).status == .pending
        if isUndone {
          #expect(try await test.lease([ticket]) == [.notDispatchable("pending")])
          let again = try await test.claim()[0].ticket
          #expect(again.reviewID == id && again.attempt == ticket.attempt)
        }
        // Two tickets of one attempt are in the queue now. The row decides: the first that comes is served.
        let lease = try await test.take(ticket)
        let other = Holder(role: "consume", host: "test", processID: 2)
        try await test.signOn(other)
        #expect(try await test.lease([ticket], by: other.id) == [.leasedElsewhere])
        #expect(try await test.lease([ticket]) == [.mine(lease)])
        if isUndone { return }
      }
      Issue.record("no crash has undone a claim")
    }
  }

  @Test("a lease makes its claim durable: a crash behind it undoes neither")
  func durable() async throws {
    try await withForgetfulServer { server, test in
      let id = try await test.insert(1)[0]
      let ticket = try await test.claim()[0].ticket
      let lease = try await test.take(ticket)
      try await crash(server, test)
      let row = try await test.row(id)
      #expect(row.status == .queued && row.leaseOwner == test.holder.id.text && row.attempt == 1)
      #expect(try await test.store.stillLeased([lease], by: test.holder.id) == [true])
      #expect(
        try await test.store.recordDispatched(
          [DispatchRecord(reviewID: id, attempt: ticket.attempt, agentVersion: nil)], by: test.holder.id) == [.recorded]
      )
    }
  }

  @Test("a publication that a crash has undone is owed again")
  func publication() async throws {
    try await withForgetfulServer { server, test in
      _ = try await test.insert(1)
      let claim = try await test.claim()[0]
      // What waits for the disk keeps the claim.
      _ = try await test.insert(1, owner: "other")
      try await test.store.recordPublished([claim])
      #expect(try await test.store.owed([claim]).isEmpty)
      try await crash(server, test)
      let isUndone = try await test.row(claim.reviewID).publishedAt == nil
      #expect(try await test.store.owed([claim]) == (isUndone ? [claim] : []))
    }
  }
}
