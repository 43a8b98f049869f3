import PostgresClient
import Support
import Testing

@Suite("Postgres notifications")
struct PostgresListenerTests {
  private let notify = PostgresStatement("notify", "SELECT pg_notify($1, $2)")

  @Test("notifications arrive in order while statements run on the same connection")
  func besideQueries() async throws {
    try await withTestConnection { connection in
      try await connection.query(PostgresStatement(unprepared: "LISTEN numbers"))
      try await withThrowingDiscardingTaskGroup { group in
        for _ in 0..<50 { group.addTask { try await connection.query(PostgresStatement("one", "SELECT 1")) } }
        group.addTask {
          for number in 0..<100 { try await connection.query(notify, ["numbers", "\(number)"]) }
        }
      }
      var payloads: [String] = []
      for await notification in connection.notifications {
        #expect(notification.channel == "numbers")
        #expect(notification.backendPID == (await connection.backendPID))
        payloads.append(notification.payload)
        if payloads.count == 100 { break }
      }
      #expect(payloads == (0..<100).map(String.init))
    }
  }

  @Test("a listener says connected, then what is notified, and connected again after its backend was terminated")
  func reconnects() async throws {
    try await withTestDatabase { conninfo in
      let sender = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      let configuration = testConfiguration(conninfo, applicationName: "listener")
      let listener = PostgresListener(configuration, channels: ["plain", "Odd \"name\""], logger: .postgresTests)
      let run = Task { await listener.run() }
      var events = listener.events.makeAsyncIterator()

      #expect(await events.next() == .connected)
      try await sender.query(notify, ["plain", "1"])
      try await sender.query(notify, ["Odd \"name\"", ""])
      try await sender.query(notify, ["unheard", "x"])
      #expect(await events.next() == .notified(channel: "plain", payload: "1"))
      #expect(await events.next() == .notified(channel: "Odd \"name\"", payload: ""))

      for number in 2...4 {
        try await sender.query(
          PostgresStatement(
            unprepared: """
              SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE application_name = 'listener' AND datname = current_database()
              """))
        #expect(await events.next() == .lost)
        #expect(await events.next() == .connected)
        try await sender.query(notify, ["plain", "\(number)"])
        #expect(await events.next() == .notified(channel: "plain", payload: "\(number)"))
      }

      run.cancel()
      await run.value
      while let event = await events.next() { #expect(event == .lost) }
      await sender.close()
    }
  }

  @Test("what runs at each connection of a listener runs before connected; if it fails, there is another try")
  func onConnect() async throws {
    try await withTestDatabase { conninfo in
      let (calls, call) = AsyncStream.makeStream(of: Int32.self)
      let counter = Counter()
      let listener = PostgresListener(
        testConfiguration(conninfo), channels: ["plain"],
        onConnect: { connection in
          call.yield(await connection.backendPID)
          if await counter.next() == 1 { throw PostgresError(.decoding, "not this time") }
        }, logger: .postgresTests)
      let run = Task { await listener.run() }
      var events = listener.events.makeAsyncIterator()
      #expect(await events.next() == .connected)
      var pids = calls.makeAsyncIterator()
      let (first, second) = (await pids.next(), await pids.next())
      #expect(first != nil && second != nil && first != second)
      run.cancel()
      await run.value
    }
  }
}

private actor Counter {
  private var count = 0

  func next() -> Int {
    count += 1
    return count
  }
}
