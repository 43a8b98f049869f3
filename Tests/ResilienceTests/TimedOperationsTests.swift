import Support
import Testing

@testable import Resilience

@Suite("Operations with one timer", .timeLimit(.minutes(1)))
struct TimedOperationsTests {
  private let clock = TestClock()

  /// Runs an operation that only ends when it is cancelled.
  private func endless(
    _ operations: TimedOperations<Int>, until deadline: ContinuousClock.Instant?, orPhase phase: Int? = nil
  ) -> Task<TimedOperations<Int>.Cancellation?, Never> {
    Task {
      await operations.run(until: deadline, orPhase: phase) { try? await Task.sleep(for: .seconds(3_600)) }.cancellation
    }
  }

  @Test("an operation runs where its caller's task prefers, unless it computes")
  func computing() async {
    let executor = SerialTaskExecutor()
    let operations = TimedOperations(0, clock: clock)
    let hasPreference: @Sendable () async -> Bool = { withUnsafeCurrentTask { $0?.unownedTaskExecutor != nil } }
    let (same, computing) = await withTaskExecutorPreference(executor) {
      (
        await operations.run(until: nil, orPhase: nil, hasPreference).result,
        await operations.run(until: nil, orPhase: nil, isComputing: true, hasPreference).result
      )
    }
    #expect(same)
    #expect(!computing)
  }

  @Test("an operation is cancelled at its deadline, and not before; one timer serves all")
  func deadlines() async throws {
    let operations = TimedOperations(0, clock: clock)
    let start = clock.now
    let tasks = (1...5).map { endless(operations, until: start + .seconds($0)) }
    try await eventually("all run") { clock.sleeperCount >= 1 && operations.count == 5 }
    for left in (0..<5).reversed() {
      clock.advance(by: .seconds(1))
      try await eventually("one has ended") { operations.count == left }
      if left > 0 { try await eventually("the timer goes on") { clock.sleeperCount >= 1 } }
    }
    for task in tasks { #expect(await task.value == .deadline) }
    try await eventually("no timer is left") { clock.sleeperCount == 0 }
  }

  @Test("an earlier deadline that comes later is kept")
  func earlier() async throws {
    let operations = TimedOperations(0, clock: clock)
    let start = clock.now
    let late = endless(operations, until: start + .seconds(60))
    try await eventually("a timer") { clock.sleeperCount == 1 }
    let early = endless(operations, until: start + .seconds(1))
    try await eventually("a second timer") { clock.sleeperCount == 2 }
    clock.advance(by: .seconds(1))
    #expect(await early.value == .deadline)
    try await eventually("the late one is left") { operations.count == 1 && clock.sleeperCount >= 1 }
    clock.advance(by: .seconds(60))
    #expect(await late.value == .deadline)
  }

  @Test("a phase cancels what ends with it or before, also what begins later; phases do not go back")
  func phases() async throws {
    let operations = TimedOperations(0, clock: clock)
    let second = endless(operations, until: nil, orPhase: 2)
    let third = endless(operations, until: nil, orPhase: 3)
    try await eventually("both run") { operations.count == 2 }
    operations.enter(2)
    #expect(await second.value == .phase)
    operations.enter(1)
    #expect(operations.phase == 2)
    #expect(await endless(operations, until: nil, orPhase: 1).value == .phase)
    #expect(operations.count == 1)
    operations.enter(3)
    #expect(await third.value == .phase)
  }

  @Test("an operation that ends in time has its result, and leaves nothing behind; a cancelled one has its result too")
  func results() async throws {
    let operations = TimedOperations(0, clock: clock)
    let (quick, none) = await operations.run(until: clock.now + .seconds(1), orPhase: 1) { 7 }
    #expect(quick == 7 && none == nil && operations.count == 0)
    operations.enter(1)
    let (late, cancellation) = await operations.run(until: nil, orPhase: 1) { 8 }
    #expect(late == 8 && cancellation == .phase)
  }

  @Test("a cancelled caller's operation is cancelled, and says so")
  func caller() async throws {
    let operations = TimedOperations(0, clock: clock)
    let task = endless(operations, until: nil, orPhase: 1)
    try await eventually("it runs") { operations.count == 1 }
    task.cancel()
    #expect(await task.value == .caller)
    #expect(operations.count == 0)
  }

  @Test(
    "a circuit's probe is waited for: the wait ends when it has reported, whatever it says", arguments: [true, false])
  func probed(isUp: Bool) async throws {
    let circuit = Circuit(name: "target", breaker: CircuitBreaker(threshold: 1), clock: clock)
    // Closed and open circuits are not waited for.
    try await circuit.waitWhileProbed()
    circuit.failed()
    try await circuit.waitWhileProbed()
    clock.advance(by: .seconds(31))
    #expect(circuit.admit() == .probe)
    let waiting = Task { try await circuit.waitWhileProbed() }
    try await eventually("it waits") { clock.sleeperCount == 1 }
    if isUp { circuit.succeeded() } else { circuit.failed() }
    try await waiting.value
  }
}
