internal import Synchronization

/// Runs jobs one after another, and says when none is left: with a clock that stands still, nothing happens then until a test moves it.
package final class SerialTaskExecutor: TaskExecutor {
  private struct State {
    var jobs: [UnownedJob] = []
    /// The first of them that has not run.
    var next = 0
    var isRunning = false
    var waiters: [CheckedContinuation<Void, Never>] = []
    var runsNewestFirst = false
  }

  private let state = Mutex(State())

  package init() {}

  /// Whether the job that came last runs first, as jobs may on several threads. Otherwise they run in their order.
  package var runsNewestFirst: Bool {
    get { state.withLock { $0.runsNewestFirst } }
    set { state.withLock { $0.runsNewestFirst = newValue } }
  }

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let isFirst = state.withLock { state in
      state.jobs.append(job)
      defer { state.isRunning = true }
      return !state.isRunning
    }
    if isFirst { Task.detached { self.runAll() } }
  }

  /// Returns when no job is left.
  package func idle() async {
    await withCheckedContinuation { continuation in
      let isIdle = state.withLock { state in
        if state.isRunning { state.waiters.append(continuation) }
        return !state.isRunning
      }
      if isIdle { continuation.resume() }
    }
  }

  private func runAll() {
    while let job = nextJob() { job.runSynchronously(on: asUnownedTaskExecutor()) }
  }

  private func nextJob() -> UnownedJob? {
    let (job, waiters) = state.withLock { state -> (UnownedJob?, [CheckedContinuation<Void, Never>]) in
      if state.next < state.jobs.count {
        if state.runsNewestFirst { return (state.jobs.popLast(), []) }
        defer { state.next += 1 }
        return (state.jobs[state.next], [])
      }
      defer { state = State(runsNewestFirst: state.runsNewestFirst) }
      return (nil, state.waiters)
    }
    for waiter in waiters { waiter.resume() }
    return job
  }
}
