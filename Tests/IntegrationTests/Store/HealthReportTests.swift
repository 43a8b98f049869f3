import FoundationEssentials
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Health reports")
struct HealthReportTests {
  @Test("what a heartbeat reports of a process is what all others read, until its next one")
  func reports() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      var report = Holder.Report()
      report.health = Holder.Health(
        version: "1.2.3", roles: ["produce", "consume"],
        faults: [
          Holder.Fault(.circuit, target: "worker", for: .seconds(90), reason: "refused \u{0} \"quoted\" \u{1F4A5}"),
          Holder.Fault(.brokerBlocked, for: .seconds(3)),
        ])
      report.health.dispatchedSeconds = 91.5
      report.health.allClaimedSeconds = 7.25
      report.health.roundTripSeconds = 0.002
      #expect(try await test.store.heartbeat(test.holder.id, report).isKnown)
      let read = try await test.store.holders(heartbeatTimeout: .seconds(15), limit: 10)
      #expect(read.count == 1)
      var expected = report.health
      expected.faults[0].reason = read[0].health.faults.first?.reason
      #expect(read[0].health == expected)
      #expect(read[0].health.faults.first?.reason?.hasPrefix("refused ") == true)
      #expect(read[0].health.faults.first?.reason?.hasSuffix("\u{1F4A5}") == true)
      #expect(try await test.store.heartbeat(test.holder.id, Holder.Report()).isKnown)
      #expect(try await test.store.holders(heartbeatTimeout: .seconds(15), limit: 10)[0].health == Holder.Health())
    }
  }

  @Test("a report of another version is read as far as it is known, and a holder without one has none")
  func otherVersions() async throws {
    try await withTestStore { test in
      try await test.sql(
        """
        INSERT INTO baton_holders (id, role, host, pid) VALUES ('old', 'produce', 'h', 1);
        """)
      try await test.sql(
        """
        INSERT INTO baton_holders (id, role, host, pid, health)
        VALUES ('new', 'consume', 'h', 2, '{"version": "9", "colour": "red", "faults": [{"cause": "sunspots", "seconds": 1},
          {"cause": "circuit", "target": "worker", "seconds": 5, "reason": "r"}]}'), ('odd', 'reap', 'h', 3, '[7]')
        """)
      let read = Dictionary(
        uniqueKeysWithValues: try await test.store.holders(heartbeatTimeout: .seconds(15), limit: 10).map {
          ($0.processID, $0.health)
        })
      #expect(read[1] == Holder.Health())
      #expect(read[2]?.version == "9" && read[2]?.faults.map(\.cause) == [.circuit])
      #expect(read[3] == Holder.Health())
    }
  }

  @Test("of many processes some of each kind are returned; those that are held back and those that died stand first")
  func kinds() async throws {
    try await withTestStore { test in
      try await test.sql(
        """
        INSERT INTO baton_holders (id, role, host, pid, health)
        SELECT 'consume' || n, 'consume', 'h', n, '{"roles": ["consume"], "faults": []}' FROM generate_series(1, 100) n;
        """)
      try await test.sql(
        """
        INSERT INTO baton_holders (id, role, host, pid, health)
        VALUES ('p', 'produce', 'h', 201, '{"roles": ["produce"]}'), ('r', 'reap', 'h', 202, '{}'),
               ('f', 'consume', 'h', 203, '{"roles": ["consume"], "faults": [{"cause": "other", "seconds": 1}]}'),
               ('u', 'consume', 'h', 204, '{"roles": ["consume", "produce", "reap", "serve"]}')
        """)
      try await test.sql(
        "INSERT INTO baton_holders (id, role, host, pid, heartbeat_at) VALUES ('d', 'serve', 'h', 205, now() - interval '1 hour')"
      )
      let read = try await test.store.holders(heartbeatTimeout: .seconds(15), limit: 10)
      #expect(read.count == 10 && Set(read.map(\.processID)).isSuperset(of: [201, 202, 203, 204, 205]))
      #expect(read.prefix(2).map(\.processID) == [203, 205] && read[1].isDead)
    }
  }

  @Test("webhooks and cancels that wait for long, or were given up within a day, are counted with their reason")
  func overdue() async throws {
    try await withTestStore { test in
      #expect(try await test.store.undelivered().overdue.isEmpty)
      try await test.sql(
        """
        INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, received_at, processed_at, outcome)
        VALUES ('github', 'new', 'e', '{}', now(), NULL, NULL),
               ('github', 'old', 'e', '{}', now() - interval '20 minutes', NULL, 'trying again: locked'),
               ('github', 'older', 'e', '{}', now() - interval '30 minutes', NULL, 'trying again: a trigger'),
               ('github', 'done', 'e', '{}', now() - interval '30 minutes', now(), 'a review'),
               ('github', 'given', 'e', '{}', now() - interval '2 hours', now(), 'given up: a trigger'),
               ('github', 'long ago', 'e', '{}', now() - interval '3 days', now() - interval '2 days', 'given up: a trigger')
        """)
      let ids = try await test.insert(4)
      for (id, created, givenUp) in [
        (ids[0], "1 minute", "NULL"), (ids[1], "1 hour", "NULL"), (ids[2], "25 hours", "now()"),
        (ids[3], "3 days", "now() - interval '2 days'"),
      ] {
        try await test.store.addCancel(of: id, attempt: 1)
        try await test.sql(
          "UPDATE baton_outbox SET created_at = now() - interval '\(created)', given_up_at = \(givenUp), last_error = '503' WHERE review_id = '\(id)'"
        )
      }
      let overdue = try await test.store.undelivered().overdue
      #expect(overdue.map(\.kind) == Overdue.Kind.allCases)
      #expect(overdue.map(\.count) == [2, 1, 1, 1] && overdue.allSatisfy { !$0.isCut })
      #expect(
        overdue.map(\.lastError) == ["trying again: a trigger", "given up: a trigger", "503", "503"])
      #expect(overdue.map(\.examples) == [[], [], [ids[1]], [ids[2]]])
      let oldest = try #require(try await test.store.backlog().oldestWebhook)
      #expect(oldest > .seconds(1_790) && oldest < .seconds(7_200))
    }
  }

  @Test("what was handed back and is due later counts as such, and what was submitted for later does not")
  func handedBack() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(3)
      try await test.sql("UPDATE code_reviews SET available_at = now() + interval '1 hour' WHERE id = '\(ids[0])'")
      try await test.sql(
        "UPDATE code_reviews SET available_at = now() + interval '1 hour', status_reason = 'out' WHERE id = '\(ids[1])'"
      )
      #expect(try await test.store.liveStats(heartbeatTimeout: .seconds(15)).handedBack == 1)
    }
  }
}
