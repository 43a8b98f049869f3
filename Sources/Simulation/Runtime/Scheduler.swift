internal import CSimulation
internal import HeapModule
internal import Synchronization
@_spi(ExperimentalCustomExecutors) @_spi(ExperimentalScheduling) internal import _Concurrency

/// Runs every job of this process on one thread, in an order that a seed decides, and lets time pass only when nothing can run.
///
/// It is the default executor of the whole process: structured and unstructured tasks, actors and sleeps of any clock come here. Each job
/// belongs to a simulated process: to the one whose job has made its task. So a process can be stopped at any suspension point: its jobs
/// are no longer run.
final class Scheduler: TaskExecutor, SchedulingExecutor, Sendable {
  /// A simulated process; 0 is the world around them.
  typealias ProcessID = Int

  private struct Job {
    let job: UnownedJob
    let process: ProcessID
  }

  private struct Timer: Comparable {
    enum Target {
      case job(Job)
      /// A task that sleeps, by the number of its sleep.
      case sleep(UInt64)
    }

    let time: Int64
    let sequence: UInt64
    let target: Target

    static func < (one: Timer, other: Timer) -> Bool {
      (one.time, one.sequence) < (other.time, other.sequence)
    }
    static func == (one: Timer, other: Timer) -> Bool { one.sequence == other.sequence }
  }

  private struct State {
    var now: Int64 = Scheduler.start
    var generator = SeededGenerator(seed: 0)
    var ready: [Job] = []
    var timers = Heap<Timer>()
    var sequence: UInt64 = 0
    /// Tasks that sleep, by the numbers of their sleeps.
    var sleepers: [UInt64: UnsafeContinuation<Bool, Never>] = [:]
    var current: ProcessID = 0
    /// Whose tasks are whose.
    var owners: [UInt64: ProcessID] = [:]
    var dead: Set<ProcessID> = []
    /// The jobs of stopped processes.
    var parked: [ProcessID: [Job]] = [:]
    var skews: [ProcessID: Int64] = [:]
    /// What happens before the job after so many of a process.
    var countdowns: [ProcessID: (left: Int, action: @Sendable () -> Void)] = [:]
    var count = 0
  }

  private enum Step {
    case run(UnownedJob, now: Int64, skew: Int64)
    case act(@Sendable () -> Void)
    case wake([UnsafeContinuation<Bool, Never>])
    case idle
  }

  /// The only one: the runtime asks for the default executor once.
  static let shared = Scheduler()
  /// 2027-01-15T08:00:00Z, in nanoseconds.
  static let start: Int64 = 1_800_000_000_000_000_000

  private let state = Mutex(State())

  private init() {}

  /// Becomes this process's default executor. To be called before any task is made.
  static func install() { _createExecutors(factory: Executors.self) }

  /// Forgets everything, and begins at the first instant.
  func reset(seed: UInt64) {
    state.withLock { state in
      state = State()
      state.generator = SeededGenerator(seed: seed, stream: 1)
    }
    simulation_begin(seed)
    simulation_set_time(Self.start, 0)
  }

  // MARK: Time

  /// Since the first instant.
  var elapsed: Duration { .nanoseconds(state.withLock { $0.now } - Self.start) }

  /// Microseconds since 1970.
  var microseconds: Int64 { state.withLock { $0.now } / 1_000 }

  /// How many jobs have run.
  var jobCount: Int { state.withLock { $0.count } }

  // MARK: Processes

  /// Whose job runs now.
  var current: ProcessID { state.withLock { $0.current } }

  /// Makes a task of a process.
  func spawn(as process: ProcessID, _ body: @escaping @Sendable () async -> Void) {
    let caller = state.withLock { state in
      defer { state.current = process }
      return state.current
    }
    Task.detached(operation: body)
    state.withLock { $0.current = caller }
  }

  /// Its jobs are never run again.
  func kill(_ process: ProcessID) {
    state.withLock { state in
      state.dead.insert(process)
      state.parked[process] = nil
      state.countdowns[process] = nil
    }
  }

  func isDead(_ process: ProcessID) -> Bool { state.withLock { $0.dead.contains(process) } }

  /// Its jobs wait until ``resume(_:)``.
  func pause(_ process: ProcessID) {
    state.withLock { state in
      guard !state.dead.contains(process), state.parked[process] == nil else { return }
      state.parked[process] = []
    }
  }

  func resume(_ process: ProcessID) {
    state.withLock { state in state.ready += state.parked.removeValue(forKey: process) ?? [] }
  }

  /// Makes the wall clock of a process wrong.
  func setSkew(of process: ProcessID, to skew: Duration) {
    state.withLock { $0.skews[process] = Int64(skew / .nanoseconds(1)) }
  }

  /// Does something before the job of a process that follows so many others of it.
  func afterJobs(_ count: Int, of process: ProcessID, _ action: @escaping @Sendable () -> Void) {
    state.withLock { $0.countdowns[process] = (count, action) }
  }

  // MARK: Running

  /// Runs jobs until the condition is true, nothing is left to run, or so many have run.
  func run(jobMax: Int, until isDone: () -> Bool) {
    while jobCount < jobMax, !isDone() {
      switch state.withLock({ Self.next(&$0) }) {
      case .run(let job, let now, let skew):
        simulation_set_time(now, skew)
        simulation_run_job(unsafeBitCast(job, to: UnsafeRawPointer.self))
        state.withLock { $0.current = 0 }
      case .act(let action): action()
      case .wake(let sleepers): for sleeper in sleepers { sleeper.resume(returning: true) }
      case .idle: return
      }
    }
  }

  private static func next(_ state: inout State) -> Step {
    while true {
      guard !state.ready.isEmpty else {
        guard let first = state.timers.min else { return .idle }
        state.now = max(state.now, first.time)
        let sleepers = takeDue(&state)
        if !sleepers.isEmpty { return .wake(sleepers) }
        continue
      }
      let index = state.ready.count == 1 ? 0 : state.generator.below(state.ready.count)
      let job = state.ready[index]
      if state.dead.contains(job.process) {
        state.ready.swapAt(index, state.ready.count - 1)
        state.ready.removeLast()
        continue
      }
      if let countdown = state.countdowns[job.process] {
        guard countdown.left > 0 else {
          state.countdowns[job.process] = nil
          return .act(countdown.action)
        }
        state.countdowns[job.process]?.left -= 1
      }
      state.ready.swapAt(index, state.ready.count - 1)
      state.ready.removeLast()
      if state.parked[job.process] != nil {
        state.parked[job.process]?.append(job)
        continue
      }
      state.current = job.process
      state.count += 1
      return .run(job.job, now: state.now, skew: state.skews[job.process] ?? 0)
    }
  }

  /// Makes the jobs that are due ready.
  /// - Returns: the tasks whose sleep is over.
  private static func takeDue(_ state: inout State) -> [UnsafeContinuation<Bool, Never>] {
    var sleepers: [UnsafeContinuation<Bool, Never>] = []
    while let timer = state.timers.min, timer.time <= state.now {
      state.timers.removeMin()
      switch timer.target {
      case .job(let job): state.ready.append(job)
      case .sleep(let number): if let sleeper = state.sleepers.removeValue(forKey: number) { sleepers.append(sleeper) }
      }
    }
    return sleepers
  }

  // MARK: Sleeping

  /// Sleeps, also if the task is cancelled: for what takes a moment.
  func delay(_ duration: Duration) async {
    let number = nextNumber()
    _ = await withUnsafeContinuation { continuation in add(continuation, number, after: duration) }
  }

  /// Sleeps until the time is over, or the task is cancelled. Costs less than a sleep of the runtime, which makes a task for it.
  func sleep(for duration: Duration) async throws(CancellationError) {
    let number = nextNumber()
    let isOver = await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        if Task.isCancelled { return continuation.resume(returning: false) }
        add(continuation, number, after: duration)
      }
    } onCancel: {
      state.withLock { $0.sleepers.removeValue(forKey: number) }?.resume(returning: false)
    }
    if !isOver { throw CancellationError() }
  }

  private func nextNumber() -> UInt64 {
    state.withLock { state in
      state.sequence += 1
      return state.sequence
    }
  }

  private func add(_ continuation: UnsafeContinuation<Bool, Never>, _ number: UInt64, after duration: Duration) {
    let wait = Int64(duration / .nanoseconds(1))
    state.withLock { state in
      state.sleepers[number] = continuation
      state.timers.insert(Timer(time: state.now + max(0, wait), sequence: number, target: .sleep(number)))
    }
  }

  // MARK: What the runtime calls

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    state.withLock { state in state.ready.append(Self.owned(job, &state)) }
  }

  func enqueue<C: Clock>(
    _ job: consuming ExecutorJob, after delay: C.Duration, tolerance: C.Duration?, clock: C
  ) {
    let job = UnownedJob(job)
    let wait = (delay as? Duration).map { Int64($0 / .nanoseconds(1)) } ?? 0
    state.withLock { state in
      state.sequence += 1
      state.timers.insert(
        Timer(time: state.now + max(0, wait), sequence: state.sequence, target: .job(Self.owned(job, &state))))
    }
  }

  func enqueue<C: Clock>(
    _ job: consuming ExecutorJob, at instant: C.Instant, tolerance: C.Duration?, clock: C
  ) {
    enqueue(job, after: clock.now.duration(to: instant), tolerance: tolerance, clock: clock)
  }

  private static func owned(_ job: UnownedJob, _ state: inout State) -> Job {
    let id = simulation_task_id(unsafeBitCast(job, to: UnsafeRawPointer.self))
    guard id != 0 else { return Job(job: job, process: state.current) }
    if let owner = state.owners[id] { return Job(job: job, process: owner) }
    state.owners[id] = state.current
    return Job(job: job, process: state.current)
  }
}

/// What the runtime uses instead of its own executors.
private enum Executors: ExecutorFactory {
  static var mainExecutor: any MainExecutor { PlatformExecutorFactory.mainExecutor }
  static var defaultExecutor: any TaskExecutor { Scheduler.shared }
}
