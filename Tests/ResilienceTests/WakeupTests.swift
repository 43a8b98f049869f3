import Resilience
import Testing

@Suite("Wakeup")
struct WakeupTests {
  @Test("wakes that no task waited for are remembered once")
  func coalesces() async throws {
    let wakeup = Wakeup()
    for _ in 0..<5 { wakeup.wake() }
    #expect(try await wakeup.wait(until: nil))
    #expect(try await !wakeup.wait(until: .now))
  }

  @Test("a remembered wake wins over a deadline that has passed")
  func wakeBeforeDeadline() async throws {
    let wakeup = Wakeup()
    wakeup.wake()
    #expect(try await wakeup.wait(until: .now - .seconds(1)))
  }

  @Test("a deadline ends the wait without a wake")
  func deadline() async throws {
    #expect(try await !Wakeup().wait(until: .now + .milliseconds(5)))
  }

  @Test("cancellation ends the wait and keeps a wake for the next one")
  func cancellation() async throws {
    let wakeup = Wakeup()
    let waiting = Task { try await wakeup.wait(until: nil) }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    wakeup.wake()
    let late = Task {
      while !Task.isCancelled { await Task.yield() }
      return try await wakeup.wait(until: nil)
    }
    late.cancel()
    await #expect(throws: CancellationError.self) { try await late.value }
    #expect(try await wakeup.wait(until: .now))
  }

  @Test("no wake is lost between a busy waker and a busy waiter")
  func noLostWake() async throws {
    let (wakeup, done) = (Wakeup(), Wakeup())
    try await withThrowingTaskGroup { group in
      group.addTask {
        for _ in 0..<5_000 {
          wakeup.wake()
          try await done.wait(until: .now + .seconds(60))
        }
      }
      group.addTask {
        for _ in 0..<5_000 {
          let isWoken = try await wakeup.wait(until: .now + .seconds(60))
          #expect(isWoken)
          done.wake()
        }
      }
      try await group.waitForAll()
    }
  }
}
