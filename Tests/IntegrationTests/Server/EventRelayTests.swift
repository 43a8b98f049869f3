import AsyncHTTPClient
import BatonServer
import Foundation
import HTTPTrust
import Platforms
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Synchronization
import Testing

@Suite("Server: events", .timeLimit(.minutes(3)))
struct EventRelayTests {
  private static let secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

  private func add(_ stack: ServerStack, _ url: String, owner: Owner? = nil) async throws -> UUID {
    try await stack.store.addEndpoint(url, owner: owner) {
      try ServerStack.cipher.seal(Self.secret, in: .endpointSecret(of: $0))
    }
  }

  /// What sends to hosts on this machine.
  private func withRelay(
    _ stack: ServerStack, allowed: [String] = ["127.0.0.1"], _ body: (EventRelay) async throws -> Void
  ) async throws {
    let trust = HTTPTrust()
    let client = PlatformAccess.makeHTTPClient(connectionMax: 4, trust: trust)
    let sender = EventSender(httpClient: client, trust: trust, timeout: .seconds(5))
    let relay = EventRelay(
      store: stack.store, cipher: ServerStack.cipher, allowedHosts: allowed, logger: ServerStack.silent
    ) { await sender.send($0, to: $1, headers: $2) }
    do {
      try await body(relay)
      try await client.shutdown()
    } catch {
      try? await client.shutdown()
      throw error
    }
  }

  @Test(
    "the end of a review is an event for each endpoint of its owner, in the same transaction, as the document describes it"
  )
  func written() async throws {
    let receiver = try await EventReceiver()
    try await withServerStack { stack in
      let all = try await add(stack, receiver.url)
      _ = try await add(stack, receiver.url, owner: Owner(type: .org, id: "acme"))
      _ = try await add(stack, receiver.url, owner: Owner(type: .org, id: "other"))
      let disabled = try await add(stack, receiver.url)
      #expect(try await stack.store.setEndpoint(disabled, isEnabled: false))
      let id = try await stack.submit("e1")
      #expect(try await stack.count("baton_events") == 0)
      await #expect(throws: (any Error).self) {
        try await stack.run(
          "DO $$ BEGIN UPDATE code_reviews SET status = 'cancelled'; RAISE EXCEPTION 'undone'; END $$")
      }
      #expect(try await stack.count("baton_events") == 0)
      _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      #expect(
        try await stack.callback(id, #"{"attempt":1,"status":"completed","gateResult":"pass","usage":{"model":"m"}}"#)
          .status
          == 200)
      #expect(try await stack.count("baton_events") == 2)
      try await withRelay(stack) { try await $0.deliverDue() }
      #expect(try await stack.count("baton_events") == 0 && receiver.received.count == 2)
      #expect(try await stack.store.endpoints().first { $0.id == all }?.acceptedAt != nil)
      try await check(try #require(receiver.received.first), id, stack)
    }
    await receiver.stop()
  }

  private func check(_ request: EventReceiver.Received, _ id: UUID, _ stack: ServerStack) async throws {
    let event = try #require(try JSONSerialization.jsonObject(with: Data(request.body)) as? [String: Any])
    let data = try #require(event["data"] as? [String: Any])
    #expect(
      event["type"] as? String == "review.completed" && event["timestamp"] as? String == data["completedAt"] as? String)
    #expect(data["reviewId"] as? String == id.lowercase && data["gateResult"] as? String == "pass")
    #expect(data["model"] as? String == "m" && (data["owner"] as? [String: Any])?["id"] as? String == "acme")
    let document = try await stack.client.send("GET", "/api/openapi.json").object
    let schemas = (document["components"] as? [String: Any])?["schemas"] as? [String: Any]
    for (name, keys) in [("ReviewEvent", event.keys), ("ReviewEventData", data.keys)] {
      let schema = try #require(schemas?[name] as? [String: Any])
      #expect(Set((schema["properties"] as? [String: Any] ?? [:]).keys) == Set(keys), "\(name)")
      #expect(Set(schema["required"] as? [String] ?? []) == Set(keys), "\(name)")
    }
    let expected = EventSignature.headers(
      try #require(UUID(uuidString: request.id)), at: try #require(Int64(request.headers["webhook-timestamp"] ?? "")),
      body: request.body, SecretList(Self.secret))
    for header in expected { #expect(request.headers[header.name] == header.value, "\(header.name)") }
    #expect(request.headers["content-type"] == "application/json")
  }

  @Test(
    "an endpoint that fails holds up no other, gets a single try while its circuit is open, and then everything again")
  func circuit() async throws {
    let isDown = Mutex(true)
    let good = try await EventReceiver()
    let bad = try await EventReceiver { _ in .init(isDown.withLock { $0 } ? 500 : 200) }
    try await withServerStack { stack in
      let failing = try await add(stack, bad.url)
      _ = try await add(stack, good.url)
      for number in 1...8 { _ = try await stack.submit("e\(number)") }
      try await stack.run("UPDATE code_reviews SET status = 'cancelled'")
      try await withRelay(stack) { relay in
        try await relay.deliverDue()
        #expect(Set(good.received.map(\.id)).count == 8)
        let endpoint = try #require(try await stack.store.endpoints().first { $0.id == failing })
        #expect(endpoint.failures == 8 && endpoint.undelivered == 8 && endpoint.failingSince != nil)
        #expect(endpoint.lastError == "it answered 500")
        #expect(try await stack.store.eventBacklog().failingEndpoints == 1)
        // Due again, but not before the circuit allows it; then one.
        try await stack.run("UPDATE baton_events SET due_at = now()")
        try await relay.deliverDue()
        #expect(bad.received.count == 8)
        try await stack.run("UPDATE baton_endpoints SET blocked_until = now()")
        try await relay.deliverDue()
        #expect(bad.received.count == 9)
        isDown.withLock { $0 = false }
        try await stack.run("UPDATE baton_endpoints SET blocked_until = now()")
        try await relay.deliverDue()
        try await stack.run("UPDATE baton_events SET due_at = now()")
        try await relay.deliverDue()
        #expect(try await stack.count("baton_events") == 0)
        #expect(Set(bad.received.map(\.id)).count == 8)
        #expect(try await stack.store.endpoints().allSatisfy { $0.failures == 0 && $0.lastError == nil })
      }
    }
    await bad.stop()
    await good.stop()
  }

  @Test("endpoints that answer slowly get one request at a time each, and leave half of the slots to the others")
  func slow() async throws {
    try await withServerStack { stack in
      for port in 1...5 { _ = try await add(stack, "http://127.0.0.1:\(port)/hook") }
      let answer = Task { try? await Task.sleep(for: .seconds(600)) }
      let isHeld = Mutex(false)
      let sent = Mutex<[Int: Int]>([:])
      let relay = EventRelay(
        store: stack.store, cipher: ServerStack.cipher, allowedHosts: ["127.0.0.1"], slowAfter: .zero,
        logger: ServerStack.silent
      ) { _, address, _ in
        sent.withLock { $0[address.port, default: 0] += 1 }
        if address.port <= 5, isHeld.withLock({ $0 }) { _ = await answer.value }
        return .accepted
      }
      _ = try await stack.submit("e0")
      try await stack.run("UPDATE code_reviews SET status = 'cancelled'")
      // From now on each is known to be slow.
      try await relay.deliverDue()
      #expect(sent.withLock { $0 } == [1: 1, 2: 1, 3: 1, 4: 1, 5: 1])
      isHeld.withLock { $0 = true }
      _ = try await add(stack, "http://127.0.0.1:6/hook")
      for number in 1...8 { _ = try await stack.submit("e\(number)") }
      try await stack.run("UPDATE code_reviews SET status = 'cancelled' WHERE status = 'pending'")
      let running = Task { try await relay.run() }
      try await eventually("the other endpoint has its events") { sent.withLock { $0[6] } == 8 }
      #expect(sent.withLock { $0 } == [1: 2, 2: 2, 3: 2, 4: 2, 5: 2, 6: 8])
      answer.cancel()
      try await eventually("all are sent") { try await stack.count("baton_events") == 0 }
      running.cancel()
      try await running.value
    }
  }

  @Test(
    "a redirect is not followed, a wait that is asked for is kept, 410 disables, and what is given up can be sent again"
  )
  func answers() async throws {
    let elsewhere = try await EventReceiver()
    let answer = Mutex(EventReceiver.Answer(307, ["location": elsewhere.url]))
    let receiver = try await EventReceiver { _ in answer.withLock { $0 } }
    try await withServerStack { stack in
      let id = try await add(stack, receiver.url)
      _ = try await stack.submit("e1")
      try await stack.run("UPDATE code_reviews SET status = 'cancelled'")
      try await withRelay(stack) { relay in
        try await relay.deliverDue()
        #expect(elsewhere.received.isEmpty && receiver.received.count == 1)
        answer.withLock { $0 = .init(503, ["retry-after": "120"]) }
        try await stack.run("UPDATE baton_events SET due_at = now()")
        try await relay.deliverDue()
        #expect(try await stack.count("baton_endpoints WHERE blocked_until > now() + interval '60 s'") == 1)
        // A time of the endpoint's own clock.
        answer.withLock {
          $0 = .init(
            503, ["retry-after": "Sun, 06 Nov 1994 08:51:37 GMT", "date": "Sun, 06 Nov 1994 08:49:37 GMT"])
        }
        try await stack.run("UPDATE baton_endpoints SET blocked_until = NULL")
        try await stack.run("UPDATE baton_events SET due_at = now()")
        try await relay.deliverDue()
        #expect(try await stack.count("baton_endpoints WHERE blocked_until > now() + interval '60 s'") == 1)
        // Three days later.
        try await stack.run("UPDATE baton_endpoints SET blocked_until = NULL")
        try await stack.run("UPDATE baton_events SET due_at = now(), created_at = now() - interval '4 days'")
        try await relay.deliverDue()
        let endpoint = try #require(try await stack.store.endpoints().first)
        #expect(endpoint.undelivered == 0 && endpoint.givenUp == 1)
        answer.withLock { $0 = .init(410) }
        try await stack.run("UPDATE baton_endpoints SET blocked_until = NULL")
        #expect(try await stack.store.retryEvents(of: id) == .sent(1))
        try await relay.deliverDue()
        #expect(try await stack.count("baton_endpoints WHERE NOT is_enabled") == 1)
        #expect(Set(receiver.received.map(\.id)).count == 1 && receiver.received.count == 5)
        // What a disabled endpoint was not told cannot be sent, and does not count as waiting.
        let path = "/api/endpoints/\(id.lowercase)"
        let refused = try await stack.client.send("POST", "\(path)/retry")
        #expect(refused.status == 409 && refused.body.contains("disabled"), "\(refused)")
        #expect(try await stack.store.endpoints().first?.givenUp == 1)
        #expect(try await problems(stack).contains { $0.contains("wants no more events") })
        let front = try await stack.client.send("GET", "/").body
        #expect(front.contains("wants no more events") && front.contains("baton endpoint enable"))
        #expect(try await !stack.client.send("GET", "/endpoints").body.contains("\(id.lowercase)/retry"))
        answer.withLock { $0 = .init(200) }
        for operation in ["enable", "retry"] {
          #expect(try await stack.client.send("POST", "\(path)/\(operation)").status == 200, "\(operation)")
        }
        #expect(try await problems(stack).isEmpty)
        try await relay.deliverDue()
        #expect(try await stack.count("baton_events") == 0)
        #expect(Set(receiver.received.map(\.id)).count == 1 && receiver.received.count == 6)
        _ = try await stack.submit("e2")
        try await stack.run("UPDATE code_reviews SET status = 'cancelled' WHERE status = 'pending'")
        #expect(try await stack.count("baton_events") == 1)
        #expect(try await stack.store.removeEndpoint(id))
        #expect(try await stack.count("baton_events") == 0)
      }
    }
    await receiver.stop()
    await elsewhere.stop()
  }

  @Test("a server whose setting does not name the host sends nothing there, and leaves the event to the others")
  func notAllowed() async throws {
    let receiver = try await EventReceiver()
    try await withServerStack { stack in
      _ = try await add(stack, receiver.url)
      _ = try await stack.submit("e1")
      try await stack.run("UPDATE code_reviews SET status = 'cancelled'")
      try await withRelay(stack, allowed: ["hooks.example.com"]) { try await $0.deliverDue() }
      #expect(receiver.received.isEmpty)
      #expect(try await stack.store.endpoints().first?.lastError?.contains("BATON_EVENT_HOSTS") == true)
      #expect(try await stack.count("baton_endpoints WHERE failures > 0 OR blocked_until IS NOT NULL") == 0)
      #expect(try await stack.store.endpoints().first?.failingSince != nil)
      // Another server may be able to: only when none was for a while is it worth a look.
      #expect(try await stack.store.eventBacklog().failingEndpoints == 0)
      #expect(try await problems(stack).isEmpty)
      try await stack.run("UPDATE baton_endpoints SET failing_since = now() - interval '3 minutes'")
      #expect(try await stack.store.eventBacklog().failingEndpoints == 1)
      let title = "1 event cannot be sent to \(receiver.url)"
      #expect(try await problems(stack) == [title])
      let front = try await stack.client.send("GET", "/").body
      #expect(front.contains(title) && front.contains("BATON_EVENT_HOSTS"))
      #expect(try await stack.client.send("GET", "/endpoints").body.contains("failing"))
      try await stack.run("UPDATE baton_events SET due_at = now()")
      try await withRelay(stack) { try await $0.deliverDue() }
      #expect(receiver.received.count == 1)
      #expect(try await problems(stack).isEmpty)
    }
    await receiver.stop()
  }

  @Test("events that no server sends are named, and those of a disabled endpoint are not")
  func unsent() async throws {
    try await withServerStack { stack in
      let id = try await add(stack, "https://hooks.example.com/x")
      _ = try await stack.submit("e1")
      try await stack.run("UPDATE code_reviews SET status = 'cancelled'")
      #expect(try await problems(stack).isEmpty)
      try await stack.run(
        "UPDATE baton_events SET due_at = now() - interval '11 minutes', created_at = now() - interval '11 minutes'")
      #expect(try await problems(stack) == ["1 event is not sent to https://hooks.example.com/x"])
      #expect(try #require(try await stack.store.eventBacklog().oldest) > .seconds(600))
      // What waits for a failing endpoint does not wait for a server.
      try await stack.run("UPDATE baton_endpoints SET failures = 5, failing_since = now()")
      #expect(try await stack.store.eventBacklog().oldest == nil)
      try await stack.run("UPDATE baton_endpoints SET failures = 0, failing_since = NULL")
      #expect(try await stack.store.setEndpoint(id, isEnabled: false))
      #expect(try await problems(stack).isEmpty)
      let backlog = try await stack.store.eventBacklog()
      #expect(backlog.oldest == nil && backlog.undelivered == 1)
    }
  }

  /// What the figures report of events, by its title: without the second for which the API remembers them.
  private func problems(_ stack: ServerStack) async throws -> [String] {
    let figures = LoadFigures(store: stack.store, heartbeatTimeout: .seconds(60), ownerLimit: 20) { nil }
    return try await figures.stats().problems.map(\.title).filter { $0.contains(" event") }
  }
}
