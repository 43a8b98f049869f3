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
      /// A task that nothing else wakes.
      case delay(UnsafeContinuation<Bool, Never>)
      /// A task that sleeps until then or until it is cancelled, by the number of its sleep.
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

  private struct Process {
    /// How wrong its wall clock is.
    var skew: Int64 = 0
    var isDead = false
    /// Its jobs while it is stopped.
    var parked: [Job]?
    /// What happens before the job after so many of it.
    var countdown: (left: Int, action: @Sendable () -> Void)?
  }

  private struct State {
    var generator = SeededGenerator(seed: 0)
    var ready: [Job] = []
    var timers = Heap<Timer>()
    var sequence: UInt64 = 0
    /// Tasks that sleep and may be cancelled, by the numbers of their sleeps.
    var sleepers: [UInt64: UnsafeContinuation<Bool, Never>] = [:]
    var owners = TaskOwners()
    /// By their numbers.
    private var processes: [Process] = []
    var count = 0

    subscript(process: ProcessID) -> Process {
      get { processes.indices.contains(process) ? processes[process] : Process() }
      _modify {
        while processes.count <= process { processes.append(Process()) }
        yield &processes[process]
      }
    }
  }

  private enum Step {
    case run(UnownedJob, now: Int64, skew: Int64)
    case act(@Sendable () -> Void)
    case wake(UnsafeContinuation<Bool, Never>, others: [UnsafeContinuation<Bool, Never>])
    case idle
  }

  /// The only one: the runtime asks for the default executor once.
  static let shared = Scheduler()
  /// 2027-01-15T08:00:00Z, in nanoseconds.
  static let start: Int64 = 1_800_000_000_000_000_000

  private let state = Mutex(State())
  /// Nanoseconds since 1970.
  private let now = Atomic(Scheduler.start)
  /// The process whose job runs now.
  private let running: Atomic<ProcessID> = Atomic(0)

  private init() {}

  /// Becomes this process's default executor. To be called before any task is made.
  static func install() { _createExecutors(factory: Executors.self) }

  /// Forgets everything, and begins at the first instant.
  func reset(seed: UInt64) {
    state.withLock { state in
      state = State()
      state.generator = SeededGenerator(seed: seed, stream: 1)
    }
    now.store(Self.start, ordering: .relaxed)
    running.store(0, ordering: .relaxed)
    simulation_begin(seed)
    simulation_set_time(Self.start, 0)
  }

  // MARK: Time

  /// Since the first instant.
  var elapsed: Duration { .nanoseconds(now.load(ordering: .relaxed) - Self.start) }

  /// Microseconds since 1970.
  var microseconds: Int64 { now.load(ordering: .relaxed) / 1_000 }

  /// How many jobs have run.
  var jobCount: Int { state.withLock { $0.count } }

  // MARK: Processes

  /// Whose job runs now.
  var current: ProcessID { running.load(ordering: .relaxed) }

  /// Makes a task of a process.
  func spawn(as process: ProcessID, _ body: @escaping @Sendable () async -> Void) {
    let caller = running.exchange(process, ordering: .relaxed)
    Task.detached(operation: body)
    running.store(caller, ordering: .relaxed)
  }

  /// Its jobs are never run again.
  func kill(_ process: ProcessID) {
    state.withLock { state in
      state[process].isDead = true
      state[process].parked = nil
      state[process].countdown = nil
    }
  }

  func isDead(_ process: ProcessID) -> Bool { state.withLock { $0[process].isDead } }

  /// Its jobs wait until ``resume(_:)``.
  func pause(_ process: ProcessID) {
    state.withLock { state in
      guard !state[process].isDead, state[process].parked == nil else { return }
      state[process].parked = []
    }
  }

  func resume(_ process: ProcessID) {
    state.withLock { state in state.ready += state[process].parked.take() ?? [] }
  }

  /// Makes the wall clock of a process wrong.
  func setSkew(of process: ProcessID, to skew: Duration) {
    state.withLock { $0[process].skew = Int64(skew / .nanoseconds(1)) }
  }

  /// Does something before the job of a process that follows so many others of it.
  func afterJobs(_ count: Int, of process: ProcessID, _ action: @escaping @Sendable () -> Void) {
    state.withLock { $0[process].countdown = (count, action) }
  }

  // MARK: Running

  /// Runs jobs until the condition is true, nothing is left to run, or so many have run.
  func run(jobMax: Int, until isDone: () -> Bool) {
    while !isDone() {
      running.store(0, ordering: .relaxed)
      switch state.withLock({ $0.count < jobMax ? next(&$0) : .idle }) {
      case .run(let job, let now, let skew):
        simulation_set_time(now, skew)
        simulation_run_job(unsafeBitCast(job, to: UnsafeRawPointer.self))
      case .act(let action): action()
      case .wake(let sleeper, let others):
        sleeper.resume(returning: true)
        for other in others { other.resume(returning: true) }
      case .idle: return
      }
    }
  }

  private func next(_ state: inout State) -> Step {
    while true {
      guard !state.ready.isEmpty else {
        guard let first = state.timers.min else { return .idle }
        if first.time > now.load(ordering: .relaxed) { now.store(first.time, ordering: .relaxed) }
        if let step = takeDue(&state) { return step }
        continue
      }
      let index = state.ready.count == 1 ? 0 : state.generator.below(state.ready.count)
      let job = state.ready[index]
      if state[job.process].isDead {
        state.ready.swapAt(index, state.ready.count - 1)
        state.ready.removeLast()
        continue
      }
      if let countdown = state[job.process].countdown {
        guard countdown.left > 0 else {
          state[job.process].countdown = nil
          return .act(countdown.action)
        }
        state[job.process].countdown?.left -= 1
      }
      state.ready.swapAt(index, state.ready.count - 1)
      state.ready.removeLast()
      if state[job.process].parked != nil {
        state[job.process].parked?.append(job)
        continue
      }
      running.store(job.process, ordering: .relaxed)
      state.count += 1
      return .run(job.job, now: now.load(ordering: .relaxed), skew: state[job.process].skew)
    }
  }

  /// Makes the jobs that are due ready.
  /// - Returns: the tasks whose sleep is over; nil if there is none.
  private func takeDue(_ state: inout State) -> Step? {
    let now = now.load(ordering: .relaxed)
    var first: UnsafeContinuation<Bool, Never>?
    var others: [UnsafeContinuation<Bool, Never>] = []
    while let timer = state.timers.min, timer.time <= now {
      state.timers.removeMin()
      let sleeper: UnsafeContinuation<Bool, Never>?
      switch timer.target {
      case .job(let job):
        state.ready.append(job)
        continue
      case .delay(let continuation): sleeper = continuation
      case .sleep(let number): sleeper = state.sleepers.removeValue(forKey: number)
      }
      guard let sleeper else { continue }
      if first == nil { first = sleeper } else { others.append(sleeper) }
    }
    return first.map { .wake($0, others: others) }
  }

  // MARK: Sleeping

  /// Sleeps, also if the task is cancelled: for what takes a moment.
  func delay(_ duration: Duration) async {
    let wait = Int64(duration / .nanoseconds(1))
    _ = await withUnsafeContinuation { continuation in
      state.withLock { state in
        state.sequence += 1
        let time = now.load(ordering: .relaxed) + max(0, wait)
        state.timers.insert(Timer(time: time, sequence: state.sequence, target: .delay(continuation)))
      }
    }
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
      let time = now.load(ordering: .relaxed) + max(0, wait)
      state.timers.insert(Timer(time: time, sequence: number, target: .sleep(number)))
    }
  }

  // MARK: What the runtime calls

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    state.withLock { state in state.ready.append(owned(job, &state)) }
  }

  func enqueue<C: Clock>(
    _ job: consuming ExecutorJob, after delay: C.Duration, tolerance: C.Duration?, clock: C
  ) {
    let job = UnownedJob(job)
    let wait = (delay as? Duration).map { Int64($0 / .nanoseconds(1)) } ?? 0
    state.withLock { state in
      state.sequence += 1
      let time = now.load(ordering: .relaxed) + max(0, wait)
      state.timers.insert(Timer(time: time, sequence: state.sequence, target: .job(owned(job, &state))))
    }
  }

  func enqueue<C: Clock>(
    _ job: consuming ExecutorJob, at instant: C.Instant, tolerance: C.Duration?, clock: C
  ) {
    enqueue(job, after: clock.now.duration(to: instant), tolerance: tolerance, clock: clock)
  }

  private func owned(_ job: UnownedJob, _ state: inout State) -> Job {
    let process = current
    let id = simulation_task_id(unsafeBitCast(job, to: UnsafeRawPointer.self))
    return Job(job: job, process: id == 0 ? process : state.owners.owner(of: id, orElse: process))
  }
}

/// Whose tasks are whose. The runtime numbers tasks one after another: a list is enough for those of one run.
private struct TaskOwners {
  private var first: UInt64 = 0
  /// From the first task on; none for those that have not been enqueued yet.
  private var owners: [Scheduler.ProcessID?] = []
  /// Of tasks that were left over from the run before.
  private var older: [UInt64: Scheduler.ProcessID] = [:]

  /// - Parameter process: becomes the task's owner if it has none.
  mutating func owner(of task: UInt64, orElse process: Scheduler.ProcessID) -> Scheduler.ProcessID {
    if owners.isEmpty { first = task }
    guard task >= first else {
      older[task] = older[task] ?? process
      return older[task] ?? process
    }
    let index = Int(task - first)
    while owners.count <= index { owners.append(nil) }
    if let owner = owners[index] { return owner }
    owners[index] = process
    return process
  }
}

/// What the runtime uses instead of its own executors.
private enum Executors: ExecutorFactory {
  static var mainExecutor: any MainExecutor { PlatformExecutorFactory.mainExecutor }
  static var defaultExecutor: any TaskExecutor { Scheduler.shared }
}
