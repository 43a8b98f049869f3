import Resilience
import Synchronization
import Testing

@Suite("Remembered")
struct RememberedTests {
  private struct Refused: Error {}

  /// Counts calls; each gives its number, or fails.
  private final class Calls: Sendable {
    private let calls = Mutex(0)
    var count: Int { calls.withLock { $0 } }

    func make() -> Int {
      calls.withLock { calls in
        calls += 1
        return calls
      }
    }
  }

  @Test("however many ask, at once and one after another, one call is made")
  func once() async throws {
    let calls = Calls()
    let remembered = Remembered(for: .seconds(3_600)) {
      await Task.yield()
      return calls.make()
    }
    let answers = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<200 { group.addTask { try await remembered.value() } }
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(answers == [1])
    #expect(try await remembered.value() == 1)
    #expect(calls.count == 1)
  }

  @Test("an answer that is too old is made anew")
  func old() async throws {
    let calls = Calls()
    let remembered = Remembered(for: .zero) { calls.make() }
    #expect(try await remembered.value() == 1)
    #expect(try await remembered.value() == 2)
  }

  @Test("an error is remembered as well: what is unreachable is not asked by every caller")
  func errors() async throws {
    let calls = Calls()
    let remembered = Remembered<Int>(for: .seconds(3_600)) {
      _ = calls.make()
      throw Refused()
    }
    for _ in 0..<3 { await #expect(throws: Refused.self) { try await remembered.value() } }
    #expect(calls.count == 1)
  }

  @Test("a caller that leaves spoils nothing for the next one")
  func cancelled() async throws {
    let (started, start) = AsyncStream.makeStream(of: Void.self)
    let calls = Calls()
    let remembered = Remembered(for: .seconds(3_600)) {
      let number = calls.make()
      if number == 1 {
        start.finish()
        try await Task.sleep(for: .seconds(3_600))
      }
      return number
    }
    let leaving = Task { try await remembered.value() }
    for await _ in started {}
    leaving.cancel()
    await #expect(throws: CancellationError.self) { try await leaving.value }
    #expect(try await remembered.value() == 2)
  }
}
