import Support
import Synchronization
import Testing

@testable import Resilience

@Suite("Tasks that do not end with their creator", .timeLimit(.minutes(1)))
struct UnstructuredTaskTests {
  /// Runs jobs as the default executor does, and counts them.
  private final class CountingExecutor: TaskExecutor {
    private let jobs = Atomic(0)
    var count: Int { jobs.load(ordering: .relaxed) }

    func enqueue(_ job: consuming ExecutorJob) {
      jobs.add(1, ordering: .relaxed)
      let job = UnownedJob(job)
      let executor = asUnownedTaskExecutor()
      Task.detached { job.runSynchronously(on: executor) }
    }
  }

  private static func isPreferred(_ executor: CountingExecutor) -> Bool {
    withUnsafeCurrentTask { $0?.unownedTaskExecutor == executor.asUnownedTaskExecutor() }
  }

  @Test("they run on the executor that their creator's task prefers, and so do those that they begin")
  func inherited() async throws {
    let executor = CountingExecutor()
    try await withTaskExecutorPreference(executor) { () async throws in
      #expect(await Task.onSameExecutor { Self.isPreferred(executor) }.value)
      #expect(await Task.detachedOnSameExecutor { Self.isPreferred(executor) }.value)
      #expect(await uncancelled { Self.isPreferred(executor) })
      let nested = await Task.onSameExecutor { await uncancelled { Self.isPreferred(executor) } }.value
      #expect(nested)
      // What the helpers begin.
      let batcher = Batcher<Int, Bool>(maxBatch: 4) { $0.map { _ in .success(Self.isPreferred(executor)) } }
      #expect(try await batcher.submit(1))
      #expect(try await SingleFlight<Int, Bool>().run(1) { Self.isPreferred(executor) })
      let operations = TimedOperations(0)
      #expect(await operations.run(until: .now + .seconds(60), orPhase: nil) { Self.isPreferred(executor) }.result)
    }
    #expect(executor.count > 0)
  }

  @Test("without a preferred executor they run on the default one")
  func byDefault() async {
    let executor = CountingExecutor()
    #expect(await !Task.onSameExecutor { Self.isPreferred(executor) }.value)
    #expect(executor.count == 0)
  }

  @Test("a body that is not to be cancelled ends, and gives its value or its error, although its caller was cancelled")
  func uncancelledBody() async throws {
    struct Failure: Error {}
    let (begun, goOn) = (Wakeup(), Wakeup())
    let task = Task {
      try await uncancelled {
        begun.wake()
        try await goOn.wait(until: nil)
        if Task.isCancelled { throw CancellationError() }
        return 7
      }
    }
    try await begun.wait(until: nil)
    task.cancel()
    goOn.wake()
    #expect(try await task.value == 7)
    await #expect(throws: Failure.self) { try await uncancelled { throw Failure() } as Int }
  }
}
