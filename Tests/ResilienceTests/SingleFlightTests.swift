import Resilience
import Support
import Testing

@Suite("Single flight")
struct SingleFlightTests {
  @Test("many callers of a key share one call; another key has its own")
  func shares() async throws {
    let (flights, latch) = (SingleFlight<String, Int>(), Latch())
    try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<50 {
        group.addTask {
          try await flights.run("a") {
            await latch.pass()
            return 7
          }
        }
      }
      try await eventually { flights.waiterCount(for: "a") == 50 }
      #expect(try await flights.run("b") { 8 } == 8)
      try await eventually { await latch.arrivals == 1 }
      await latch.open()
      for try await value in group { #expect(value == 7) }
    }
    #expect(await latch.arrivals == 1)
    #expect(flights.flightCount == 0)
  }

  @Test("an error goes to all and is not kept")
  func errors() async throws {
    let (flights, latch) = (SingleFlight<Int, Int>(), Latch())
    try await withThrowingTaskGroup { group in
      for _ in 0..<10 {
        group.addTask {
          await #expect(throws: TestError.self) {
            try await flights.run(1) {
              await latch.pass()
              throw TestError()
            }
          }
        }
      }
      try await eventually { flights.waiterCount(for: 1) == 10 }
      await latch.open()
    }
    #expect(try await flights.run(1) { 5 } == 5)
  }

  @Test("a caller that is cancelled, even the first, leaves the others their call")
  func cancelledCaller() async throws {
    let (flights, latch) = (SingleFlight<Int, Int>(), Latch())
    let call: @Sendable () async throws -> Int = {
      await latch.pass()
      try Task.checkCancellation()
      return 3
    }
    let first = Task { try await flights.run(1, call) }
    try await eventually { flights.waiterCount(for: 1) == 1 }
    let second = Task { try await flights.run(1, call) }
    try await eventually { flights.waiterCount(for: 1) == 2 }
    first.cancel()
    await #expect(throws: CancellationError.self) { try await first.value }
    await latch.open()
    #expect(try await second.value == 3)
  }

  @Test("when the last caller has left, the call is cancelled, and the next caller gets a new one")
  func abandoned() async throws {
    let (flights, latch, ended) = (SingleFlight<Int, Int>(), Latch(), Recorder<Bool>())
    let only = Task {
      try await flights.run(1) {
        await latch.pass()
        await ended.add(Task.isCancelled)
        return 1
      }
    }
    try await eventually { await latch.arrivals == 1 }
    only.cancel()
    await #expect(throws: CancellationError.self) { try await only.value }
    #expect(try await flights.run(1) { 2 } == 2)
    await latch.open()
    try await eventually { await ended.elements == [true] }
  }
}
