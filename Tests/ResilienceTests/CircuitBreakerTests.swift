import Resilience
import Support
import Testing

/// The machine behind a reference, as an expectation cannot hold a mutating call.
final class Breaker {
  private var machine: CircuitBreaker

  init(_ machine: CircuitBreaker) { self.machine = machine }

  var state: CircuitBreaker.State { machine.state }
  func admit(at now: ContinuousClock.Instant) -> CircuitBreaker.Admission { machine.admit(at: now) }
  func refusedUntil(at now: ContinuousClock.Instant) -> ContinuousClock.Instant? { machine.refusedUntil(at: now) }
  @discardableResult
  func succeeded(at now: ContinuousClock.Instant) -> Bool { machine.succeeded(at: now) }
  func trip(for duration: Duration, at now: ContinuousClock.Instant) -> Bool { machine.trip(for: duration, at: now) }
  func mayAnswer(at now: ContinuousClock.Instant) { machine.mayAnswer(at: now) }
  @discardableResult
  func failed(at now: ContinuousClock.Instant, retryAfter: Duration? = nil) -> Bool {
    machine.failed(at: now, retryAfter: retryAfter)
  }
  /// With the least open time.
  @discardableResult
  func failedLuckily(at now: ContinuousClock.Instant) -> Bool {
    var generator = Constant(value: 0)
    return machine.failed(at: now, using: &generator)
  }
}

@Suite("Circuit breaker")
struct CircuitBreakerTests {
  let start = ContinuousClock.now
  let openTime = Backoff(base: .seconds(4), max: .seconds(10))

  func breaker(threshold: Int = 3) -> Breaker {
    Breaker(
      CircuitBreaker(
        threshold: threshold, openTime: openTime, probeTimeout: .seconds(60), tripMax: .seconds(3600)))
  }

  /// Fails a closed breaker until it opens, with the least open time.
  func opened() -> Breaker {
    let breaker = self.breaker(threshold: 1)
    #expect(breaker.failedLuckily(at: start))
    return breaker
  }

  @Test("it opens at the last of the outages in a row, and says so once")
  func opensAtThreshold() {
    let breaker = self.breaker()
    #expect([1, 2, 3, 4].map { _ in breaker.failed(at: start) } == [false, false, true, false])
    guard case .refused(let until) = breaker.admit(at: start) else { return #expect(Bool(false), "admitted") }
    #expect((.seconds(2) ... .seconds(4)).contains(start.duration(to: until)))
  }

  @Test("a sign that the target may be back ends an open time, closes nothing, and keeps the doubling")
  func mayAnswer() {
    let breaker = opened()
    breaker.mayAnswer(at: start)
    #expect(breaker.admit(at: start) == .probe)
    breaker.mayAnswer(at: start)
    #expect(breaker.state == .halfOpen(until: start + .seconds(60)), "the probe that is under way decides")
    #expect(breaker.failedLuckily(at: start))
    #expect(breaker.state == .open(until: start + .seconds(4)))
    breaker.mayAnswer(at: start + .seconds(5))
    #expect(breaker.state == .open(until: start + .seconds(4)), "its time is over already")
    _ = breaker.trip(for: .seconds(60), at: start)
    breaker.mayAnswer(at: start + .seconds(5))
    #expect(breaker.state == .open(until: start + .seconds(60)), "it has asked to be left alone")
  }

  @Test("a success between outages starts the count again")
  func successResetsCount() {
    let breaker = self.breaker()
    for _ in 0..<10 {
      breaker.failed(at: start)
      breaker.failed(at: start)
      #expect(!breaker.succeeded(at: start))
    }
    #expect(breaker.state == .closed)
  }

  @Test("after its time one call is the probe, and the others are refused until the probe has reported")
  func oneProbe() {
    let breaker = opened()
    #expect(breaker.admit(at: start + .seconds(1)) == .refused(until: start + .seconds(2)))
    #expect(breaker.admit(at: start + .seconds(2)) == .probe)
    #expect(breaker.admit(at: start + .seconds(3)) == .refused(until: start + .seconds(62)))
    #expect(breaker.succeeded(at: start + .seconds(4)))
    #expect(breaker.admit(at: start + .seconds(4)) == .admitted)
  }

  @Test("a probe that never reports is replaced")
  func lostProbe() {
    let breaker = opened()
    #expect(breaker.admit(at: start + .seconds(2)) == .probe)
    #expect(breaker.admit(at: start + .seconds(62)) == .probe)
  }

  @Test("every failed probe opens it for longer, up to the maximum; a success forgets that")
  func openTimeBacksOff() {
    let breaker = self.breaker(threshold: 1)
    var now = start
    var opens: [Duration] = []
    for _ in 0..<4 {
      #expect(breaker.failedLuckily(at: now))
      guard let until = breaker.refusedUntil(at: now) else { return #expect(Bool(false), "not open") }
      opens.append(now.duration(to: until))
      now = until
      #expect(breaker.admit(at: now) == .probe)
    }
    #expect(opens == [2, 4, 5, 5].map { .seconds($0) })
    #expect(breaker.succeeded(at: now))
    breaker.failedLuckily(at: now)
    #expect(breaker.refusedUntil(at: now) == now + .seconds(2))
  }

  @Test("late answers of calls from before the opening change nothing")
  func lateAnswers() {
    let breaker = opened()
    let state = breaker.state
    for _ in 0..<100 {
      #expect(!breaker.failed(at: start + .seconds(1)))
      #expect(!breaker.succeeded(at: start + .seconds(1)))
    }
    #expect(breaker.state == state)
  }

  @Test("a peer that asks to be left alone is left alone at once, but not indefinitely")
  func retryAfter() {
    let breaker = self.breaker()
    #expect(breaker.failed(at: start, retryAfter: .seconds(30)))
    #expect(breaker.admit(at: start + .seconds(29)) == .refused(until: start + .seconds(30)))
    #expect(!breaker.failed(at: start, retryAfter: .seconds(10)))
    #expect(breaker.refusedUntil(at: start) == start + .seconds(30))
    #expect(!breaker.trip(for: .seconds(1_000_000), at: start))
    #expect(breaker.refusedUntil(at: start) == start + .seconds(3600))
  }

  @Test("whatever happens in whatever order, at most one probe is out", arguments: 1...20 as ClosedRange<UInt64>)
  func randomRuns(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let breaker = self.breaker()
    var (now, probeUntil) = (start, start)
    for _ in 0..<2000 {
      now = now + .milliseconds(Int.random(in: 0...3000, using: &generator))
      switch Int.random(in: 0...3, using: &generator) {
      case 0:
        breaker.failed(at: now)
        probeUntil = now
      case 1:
        breaker.succeeded(at: now)
        probeUntil = now
      default:
        guard case .probe = breaker.admit(at: now) else { continue }
        #expect(now >= probeUntil, "seed \(seed)")
        probeUntil = now + .seconds(60)
      }
    }
  }
}

@Suite("Circuit")
struct CircuitTests {
  @Test("waiting returns at once while closed")
  func closed() async throws {
    let circuit = Circuit(name: "worker")
    try await circuit.waitWhileProbed()
    #expect(circuit.admit() == .admitted)
    #expect(circuit.openFor == nil)
  }

  @Test("all who wait go on when the probe's success closes the circuit")
  func closing() async throws {
    let breaker = CircuitBreaker(
      threshold: 1, openTime: Backoff(base: .milliseconds(1), max: .milliseconds(1)), probeTimeout: .seconds(3600))
    let circuit = Circuit(name: "worker", breaker: breaker)
    #expect(circuit.failed())
    try await eventually("the circuit may be probed") { circuit.openFor == nil }
    #expect(circuit.admit() == .probe)
    try await withThrowingTaskGroup { group in
      for _ in 0..<20 { group.addTask { try await circuit.waitWhileProbed() } }
      #expect(circuit.openFor != nil)
      #expect(circuit.succeeded())
      try await group.waitForAll()
    }
    #expect(circuit.state == .closed)
  }

  @Test("a wait can be cancelled, before and while it waits")
  func cancelled() async {
    let breaker = CircuitBreaker(
      threshold: 1, openTime: Backoff(base: .zero, max: .zero), probeTimeout: .seconds(3600))
    let circuit = Circuit(name: "worker", breaker: breaker)
    #expect(circuit.failed())
    #expect(circuit.admit() == .probe)
    let waiting = Task { try await circuit.waitWhileProbed() }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
  }
}
