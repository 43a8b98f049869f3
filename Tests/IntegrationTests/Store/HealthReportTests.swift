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
      #expect(try await test.store.heartbeat(test.holder.id, report))
      let read = try await test.store.holders(heartbeatTimeout: .seconds(15), limit: 10)
      #expect(read.count == 1)
      var expected = report.health
      expected.faults[0].reason = read[0].health.faults.first?.reason
      #expect(read[0].health == expected)
      #expect(read[0].health.faults.first?.reason?.hasPrefix("refused ") == true)
      #expect(read[0].health.faults.first?.reason?.hasSuffix("\u{1F4A5}") == true)
      #expect(try await test.store.heartbeat(test.holder.id, Holder.Report()))
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
