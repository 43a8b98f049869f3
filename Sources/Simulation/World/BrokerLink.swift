internal import InMemoryReviewQueue
internal import Primitives
internal import ReviewQueue
internal import Reviews
internal import Synchronization

/// The queue, as one simulated process reaches it.
struct BrokerLink: TicketQueue {
  let process: Scheduler.ProcessID
  let world: World

  private var network: Network { world.network }
  private var queue: InMemoryTicketQueue { world.queue }

  var name: String { queue.name }
  var isConnected: Bool { queue.isConnected && !network.isCut(process, .broker) }
  var isBlocked: Bool { queue.isBlocked }

  func publish(_ tickets: [(ticket: Ticket, trace: TraceContext)]) async -> [TicketPublishOutcome] {
    let outcomes = await send(count: tickets.count) { await queue.publish(tickets) }
    for (ticket, outcome) in zip(tickets, outcomes) {
      world.recorder.note(
        .published(
          review: world.number(of: ticket.ticket.reviewID), attempt: ticket.ticket.attempt, outcome: outcome.text))
    }
    await world.lookAtQueue()
    return outcomes
  }

  func republish(_ delivery: TicketDelivery) async -> TicketPublishOutcome {
    await send(count: 1) { [await queue.republish(delivery)] }[0]
  }

  func publishDead(_ delivery: TicketDelivery, reason: String) async -> TicketPublishOutcome {
    await send(count: 1) { [await queue.publishDead(delivery, reason: reason)] }[0]
  }

  private func send(count: Int, _ body: () async -> [TicketPublishOutcome]) async -> [TicketPublishOutcome] {
    await network.delay()
    if network.isCut(process, .broker, .requests) {
      let isInTime = await network.wait(atMost: .seconds(5)) { network.isCut(process, .broker, .requests) }
      if !isInTime { return Array(repeating: .unknown("the connection was lost"), count: count) }
    }
    let outcomes = await body()
    await network.delay()
    if network.isCut(process, .broker, .answers) {
      let isInTime = await network.wait(atMost: .seconds(5)) { network.isCut(process, .broker, .answers) }
      if !isInTime { return Array(repeating: .unknown("the connection was lost"), count: count) }
    }
    return outcomes
  }

  func status() async throws -> TicketQueueStatus {
    try await asked { try await queue.status() }
  }

  func deadCount() async throws -> Int { try await asked { try await queue.deadCount() } }

  func deadLetters(limit: Int) async throws -> [DeadLetter] {
    try await asked { try await queue.deadLetters(limit: limit) }
  }

  private func asked<Answer>(_ body: () async throws -> Answer) async throws -> Answer {
    await network.delay()
    guard isConnected else { throw InMemoryQueueFault.notConnected }
    return try await body()
  }
}

/// A consumer's view of the queue, as one simulated process has it.
struct SubscriptionLink: TicketSubscription {
  let process: Scheduler.ProcessID
  let world: World
  let inner: InMemoryTicketSubscription
  private let unsent = UnsentSettlements()

  init(process: Scheduler.ProcessID, world: World, prefetch: Int) {
    self.process = process
    self.world = world
    inner = world.queue.subscribe(prefetch: prefetch)
  }

  private var isCut: Bool { world.network.isCut(process, .broker) }

  var prefetch: Int { inner.prefetch }
  var isConnected: Bool { inner.isConnected }
  var channel: TicketChannel { inner.channel }

  func run() async throws { try await inner.run() }

  func next() async -> TicketDelivery? {
    guard let delivery = await inner.next() else { return nil }
    if isCut { _ = await world.network.wait(atMost: .seconds(60)) { isCut } }
    if let ticket = try? Ticket(body: delivery.body) {
      world.recorder.note(
        .delivered(
          review: world.number(of: ticket.reviewID), attempt: ticket.attempt, isRedelivered: delivery.isRedelivered))
    }
    if world.scenario.plantedFault == .acknowledgeEarly { settle(delivery, .acknowledge) }
    return delivery
  }

  @discardableResult
  func settle(_ delivery: TicketDelivery, _ settlement: TicketSettlement) -> Bool {
    if let ticket = try? Ticket(body: delivery.body) {
      world.recorder.note(
        .settled(review: world.number(of: ticket.reviewID), attempt: ticket.attempt, settlement.text))
    }
    if isCut {
      unsent.add(delivery, settlement)
      return true
    }
    return inner.settle(delivery, settlement)
  }

  /// The network is whole again: what was sent in the meantime arrives, if the channel is still the same.
  func healed() {
    for (delivery, settlement) in unsent.take() { inner.settle(delivery, settlement) }
  }

  func pause() async { await inner.pause() }
  func end() async { await inner.end() }
  func resume(limit: Int?) { inner.resume(limit: limit) }

  func rebuildChannel() {
    if world.scenario.plantedFault != .staySilent, !isCut { inner.rebuildChannel() }
  }

  func rebuildConnection() { rebuildChannel() }

  func readyCount() async throws -> Int {
    await world.network.delay()
    guard !isCut else { throw InMemoryQueueFault.notConnected }
    return try await inner.readyCount()
  }

  func catchUp() async throws -> TicketPosition? {
    await world.network.delay()
    guard !isCut else { throw InMemoryQueueFault.channelLost }
    return try await inner.catchUp()
  }
}

/// Settlements that were sent into a cut connection.
private final class UnsentSettlements: Sendable {
  private let list = Mutex<[(TicketDelivery, TicketSettlement)]>([])

  func add(_ delivery: TicketDelivery, _ settlement: TicketSettlement) {
    list.withLock { $0.append((delivery, settlement)) }
  }

  func take() -> [(TicketDelivery, TicketSettlement)] {
    list.withLock { list in
      defer { list = [] }
      return list
    }
  }
}

extension TicketPublishOutcome {
  fileprivate var text: String {
    switch self {
    case .confirmed: "confirmed"
    case .nacked: "nacked"
    case .returned: "returned"
    case .unknown: "unknown"
    case .notSent: "not sent"
    }
  }
}

extension TicketSettlement {
  fileprivate var text: String {
    switch self {
    case .acknowledge: "acknowledged"
    case .reject: "rejected"
    case .requeue: "requeued"
    }
  }
}
