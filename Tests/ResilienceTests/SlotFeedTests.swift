import Support
import Synchronization
import Testing

@testable import Resilience

@Suite("Slot feed", .timeLimit(.minutes(2)))
struct SlotFeedTests {
  /// Items that are due, in order.
  private final class Store: Sendable {
    private let due: Mutex<[Int]>
    private let sizes = Mutex<[Int]>([])

    init(_ due: some Sequence<Int>) { self.due = Mutex(Array(due)) }

    var left: [Int] { due.withLock { $0 } }
    /// How many were asked for, each time.
    var asked: [Int] { sizes.withLock { $0 } }

    func add(_ item: Int) { due.withLock { $0.append(item) } }

    func take(_ count: Int) -> [Int] {
      sizes.withLock { $0.append(count) }
      return due.withLock { due in
        defer { due.removeFirst(min(count, due.count)) }
        return Array(due.prefix(count))
      }
    }
  }

  private static let breaker = CircuitBreaker(
    threshold: 3, openTime: Backoff(base: .milliseconds(40), max: .milliseconds(40)))

  @Test("everything that is due is worked on, no more at once than there are slots, and no more is taken than begins")
  func bounded() async throws {
    let store = Store(0..<100)
    let running = Mutex(0)
    let most = Mutex(0)
    let done = Mutex<[Int]>([])
    let feed = SlotFeed<Int>(count: 8, circuit: nil, interval: .seconds(86_400)) {
      store.take($0)
    } work: { item in
      let now = running.withLock { count in
        count += 1
        return count
      }
      most.withLock { $0 = max($0, now) }
      await Task.yield()
      running.withLock { $0 -= 1 }
      done.withLock { $0.append(item) }
      return .answered
    }
    try await feed.drain()
    #expect(done.withLock { $0.sorted() } == Array(0..<100))
    #expect(most.withLock { $0 } <= 8 && store.asked.allSatisfy { $0 <= 8 })
  }

  @Test("one that hangs holds up no other, nor what becomes due later; cancellation ends it")
  func hanging() async throws {
    let store = Store(0..<20)
    let wakeup = Wakeup()
    let done = Mutex<[Int]>([])
    let isGivenUp = Mutex(false)
    let feed = SlotFeed<Int>(count: 4, circuit: nil, interval: .seconds(86_400), wakeup: wakeup) {
      store.take($0)
    } work: { item in
      if item == 0 {
        try? await Task.sleep(for: .seconds(86_400))
        isGivenUp.withLock { $0 = true }
        return .unknown
      }
      done.withLock { $0.append(item) }
      return .answered
    }
    let running = Task { await feed.run { _ in } }
    try await eventually { done.withLock { $0.sorted() } == Array(1..<20) }
    store.add(20)
    wakeup.wake()
    try await eventually { done.withLock { $0.contains(20) } }
    running.cancel()
    await running.value
    #expect(isGivenUp.withLock { $0 })
  }

  @Test(
    "a target that is unavailable is probed with one item at a time, and gets all of them when it has answered once")
  func circuit() async throws {
    let store = Store(0..<50)
    let isUnavailable = Mutex(true)
    let done = Mutex(0)
    let changes = Mutex<[Bool]>([])
    let circuit = Circuit(name: "target", breaker: Self.breaker)
    let probes = Mutex<[Int]>([])
    let feed = SlotFeed<Int>(count: 4, circuit: circuit, interval: .milliseconds(1)) { count in
      // From the second opening on only probes can be under way.
      let openings = changes.withLock { $0.count(where: { $0 }) }
      if openings >= 2, isUnavailable.withLock({ $0 }) { probes.withLock { $0.append(count) } }
      return store.take(count)
    } work: { item in
      guard isUnavailable.withLock({ $0 }) else {
        done.withLock { $0 += 1 }
        return .answered
      }
      store.add(item)
      await Task.yield()
      return .failed("out")
    } onCircuit: { isOpen in
      changes.withLock { $0.append(isOpen) }
    }
    let task = Task { await feed.run { _ in } }
    try await eventually { changes.withLock { $0.count(where: { $0 }) } >= 4 }
    #expect(probes.withLock { !$0.isEmpty && $0.allSatisfy { $0 == 1 } })
    isUnavailable.withLock { $0 = false }
    try await eventually { done.withLock { $0 } == 50 }
    #expect(changes.withLock { $0.last } == false)
    task.cancel()
    await task.value
    #expect(store.left.isEmpty)
  }

  @Test(
    "a drain ends when the target is unavailable, with the rest untouched, and at its deadline, with what hangs given up"
  )
  func drain() async throws {
    let store = Store(0..<50)
    let outcome = Mutex(SlotFeed<Int>.Outcome.failed("out"))
    let failing = SlotFeed<Int>(
      count: 4, circuit: Circuit(name: "target", breaker: CircuitBreaker(threshold: 3)), interval: .zero
    ) {
      store.take($0)
    } work: { _ in
      outcome.withLock { $0 }
    }
    try await failing.drain()
    #expect(store.left.count >= 50 - 8)
    let hanging = SlotFeed<Int>(count: 4, circuit: nil, interval: .zero) {
      store.take($0)
    } work: { _ in
      try? await Task.sleep(for: .seconds(86_400))
      return .unknown
    }
    let before = store.left.count
    try await hanging.drain(until: .now + .milliseconds(10))
    #expect(store.left.count == before - 4)
  }

  @Test("what taking throws is thrown by a drain, after what is under way has ended")
  func takingFails() async {
    let isFirst = Mutex(true)
    let done = Mutex(0)
    let feed = SlotFeed<Int>(count: 2, circuit: nil, interval: .zero) { count in
      let first = isFirst.withLock { isFirst in
        defer { isFirst = false }
        return isFirst
      }
      guard first else { throw TestError(number: 1) }
      return Array(0..<count)
    } work: { _ in
      await Task.yield()
      done.withLock { $0 += 1 }
      return .answered
    }
    await #expect(throws: TestError(number: 1)) { try await feed.drain() }
    #expect(done.withLock { $0 } == 2)
  }
}
