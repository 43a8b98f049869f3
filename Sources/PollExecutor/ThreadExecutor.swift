internal import CLinux
internal import Glibc
internal import Synchronization

/// A serial executor that is one thread waiting in poll(2): for jobs, for sockets, and for timers.
///
/// C clients such as librabbitmq and libpq are not thread-safe and must never block the cooperative pool. An actor whose
/// `unownedExecutor` is a `ThreadExecutor` gets both by construction: isolation *is* the thread. The actor watches
/// its socket here, and its handlers call `assumeIsolated`.
///
/// A turn of the loop: run the jobs that are there, and those that they make, for a bounded number of rounds; run the turn handlers, run the
/// timers that are due, then wait until a socket is ready, a timer is due or a job arrives. The thread starts with the first job and ends by itself when for a
/// while there was neither a job, nor a watch, nor a timer; a later job starts another. So nothing has to stop it, and an
/// executor that is no longer referenced leaves nothing behind.
///
/// It never fails because a resource is missing. While no thread can be started, its work waits, and the start is tried again. While the
/// process has no descriptor left, the thread cannot be woken from poll(2): it looks for work every few milliseconds instead.
///
/// Known weakness: one slow job delays everything on the same executor. Give each blocking client one of its own.
public final class ThreadExecutor: SerialExecutor {
  /// What a watched socket waits for, or is ready for.
  public struct Readiness: OptionSet, Sendable {
    /// The bits of poll(2).
    public let rawValue: Int16

    /// Creates the set from bits of poll(2).
    public init(rawValue: Int16) { self.rawValue = rawValue }

    /// Data can be read, or the peer has closed.
    public static let read = Readiness(rawValue: Int16(POLLIN))
    /// Data can be written.
    public static let write = Readiness(rawValue: Int16(POLLOUT))
    /// The socket has failed or was hung up; reported whether asked for or not.
    public static let failed = Readiness(rawValue: Int16(POLLERR | POLLHUP | POLLNVAL))
  }

  /// Names a timer or a turn handler, to cancel it.
  public struct Token: Hashable, Sendable {
    fileprivate let number: UInt64
  }

  private struct Watch {
    var events: Readiness
    var handler: @Sendable (Readiness) -> Void
  }

  private struct Timer {
    var deadline: ContinuousClock.Instant
    var handler: @Sendable () -> Void
  }

  private struct TurnHandler {
    var token: Token
    var handler: @Sendable () -> Bool
  }

  /// An actor's job, or one of a task that prefers the thread.
  private struct Job {
    var job: UnownedJob
    var preferred: UnownedTaskExecutor?
  }

  private struct State {
    var jobs: [Job] = []
    var isWaiting = false
    var thread: pthread_t?
    /// Wakes the thread from poll(2); -1 until a descriptor is available. Stays open until the executor goes.
    var wakeDescriptor: Int32 = -1
    /// What is missing at present, if anything is.
    var shortage: String?
    var isRetryingToStart = false
    var nextToken: UInt64 = 1
    var watches: [Int32: Watch] = [:]
    var timers: [Token: Timer] = [:]
    var turnHandlers: [TurnHandler] = []

    var firstDeadline: ContinuousClock.Instant? { timers.values.lazy.map(\.deadline).min() }
    var hasWork: Bool { !jobs.isEmpty || !watches.isEmpty || !timers.isEmpty }
  }

  /// How long a thread with nothing to do waits for more before it ends.
  private static let lingerMilliseconds: Int32 = 1_000
  /// How long a thread that cannot be woken waits before it looks for work.
  private static let unwakeableMilliseconds: Int32 = 10
  /// Rounds of jobs in one turn. A chain of jobs, each of which makes the next, takes one turn for many of them; one without an end does not
  /// keep sockets and timers waiting.
  private static let roundMax = 16
  /// How long after a thread could not be started the start is tried again.
  private static let restartDelay = Duration.milliseconds(100)

  private let name: String
  private let onShortage: @Sendable (String) -> Void
  private let makeThread: ThreadStart
  private let state = Mutex(State())

  /// Creates an executor; its thread starts with the first job.
  /// - Parameters:
  ///   - name: shown by `top -H` and debuggers; the first 15 bytes count.
  ///   - onShortage: gets a sentence, for a log, when no thread or descriptor is available; once for each shortage.
  public convenience init(name: String, onShortage: @escaping @Sendable (String) -> Void = { _ in }) {
    self.init(name: name, onShortage: onShortage, makeThread: { pthread_create(&$0, nil, $1, $2) })
  }

  /// `pthread_create`, or what a test puts in its place.
  typealias ThreadStart =
    @Sendable (
      inout pthread_t, @escaping @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?,
      UnsafeMutableRawPointer
    ) -> Int32

  init(name: String, onShortage: @escaping @Sendable (String) -> Void, makeThread: @escaping ThreadStart) {
    self.name = name
    self.onShortage = onShortage
    self.makeThread = makeThread
  }

  deinit {
    let descriptor = state.withLock(\.wakeDescriptor)
    if descriptor >= 0 { close(descriptor) }
  }

  // MARK: SerialExecutor

  /// Queues a job and wakes the thread if it waits.
  public func enqueue(_ job: consuming ExecutorJob) {
    enqueue(Job(job: UnownedJob(job)))
  }

  /// Queues a job of a task that prefers this thread.
  func enqueue(_ job: consuming ExecutorJob, preferring executor: UnownedTaskExecutor) {
    enqueue(Job(job: UnownedJob(job), preferred: executor))
  }

  private func enqueue(_ job: Job) {
    let mustWake = state.withLock { state in
      state.jobs.append(job)
      return startOrWake(&state)
    }
    wake(mustWake)
  }

  /// The executor as the runtime wants it.
  public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    UnownedSerialExecutor(ordinary: self)
  }

  /// Whether the caller runs on this executor's thread; makes `assumeIsolated` work in handlers.
  public func isIsolatingCurrentContext() -> Bool? {
    isOnThread
  }

  /// Traps if the caller is not on this executor's thread.
  public func checkIsolated() {
    precondition(isOnThread, "not on the thread of executor \(name)")
  }

  private var isOnThread: Bool {
    state.withLock { $0.thread.map { pthread_equal($0, pthread_self()) != 0 } ?? false }
  }

  // MARK: Sockets, timers, turns

  /// Calls a handler on this thread whenever a descriptor is ready; replaces the descriptor's earlier watch.
  /// - Parameters:
  ///   - descriptor: stays the caller's, who ends the watch before closing it.
  ///   - events: what to wait for; failures are reported always.
  ///   - handler: runs outside of any job: use the actor's `assumeIsolated`.
  public func watch(
    _ descriptor: Int32, for events: Readiness, handler: @escaping @Sendable (Readiness) -> Void
  ) {
    change { $0.watches[descriptor] = Watch(events: events, handler: handler) }
  }

  /// Changes what a watched descriptor waits for, and keeps its handler.
  public func rewatch(_ descriptor: Int32, for events: Readiness) {
    change { state in
      guard state.watches[descriptor]?.events != events else { return }
      state.watches[descriptor]?.events = events
    }
  }

  /// Ends the watch of a descriptor, if there is one.
  public func unwatch(_ descriptor: Int32) {
    change { $0.watches[descriptor] = nil }
  }

  /// Calls a handler on this thread once, after a time.
  public func schedule(after delay: Duration, handler: @escaping @Sendable () -> Void) -> Token {
    change { state in
      let token = Self.makeToken(&state)
      state.timers[token] = Timer(deadline: .now + delay, handler: handler)
      return token
    }
  }

  /// Calls a handler on this thread at the end of every turn's jobs, before the thread waits.
  /// - Parameter handler: answers whether it left work for another turn at once, so that the thread must not wait.
  public func onEveryTurn(_ handler: @escaping @Sendable () -> Bool) -> Token {
    change { state in
      let token = Self.makeToken(&state)
      state.turnHandlers.append(TurnHandler(token: token, handler: handler))
      return token
    }
  }

  /// Cancels a timer or a turn handler; one that is gone already is ignored.
  public func cancel(_ token: Token) {
    change { state in
      state.timers[token] = nil
      state.turnHandlers.removeAll { $0.token == token }
    }
  }

  private static func makeToken(_ state: inout State) -> Token {
    defer { state.nextToken += 1 }
    return Token(number: state.nextToken)
  }

  /// Changes the loop's state from any thread; the loop takes it in before it waits again.
  private func change<Result: Sendable>(_ body: (inout sending State) -> Result) -> Result {
    let (result, mustWake) = state.withLock { state in
      let result = body(&state)
      return (result, startOrWake(&state))
    }
    wake(mustWake)
    return result
  }

  // MARK: The thread

  /// Ensures that a thread takes in what has changed.
  /// - Returns: the descriptor to write to, so that the thread leaves poll(2); nil if it does not wait there.
  private func startOrWake(_ state: inout State) -> Int32? {
    guard state.thread != nil else {
      if state.hasWork && !state.isRetryingToStart { startThread(&state) }
      return nil
    }
    defer { state.isWaiting = false }
    return state.isWaiting && state.wakeDescriptor >= 0 ? state.wakeDescriptor : nil
  }

  private func wake(_ descriptor: Int32?) {
    guard let descriptor else { return }
    var one: UInt64 = 1
    _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
  }

  /// The thread holds the executor until it ends.
  private func startThread(_ state: inout State) {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(self)
    let code = makeThread(
      &thread,
      { context in
        guard let context else { return nil }
        Unmanaged<ThreadExecutor>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    guard code == 0 else {
      context.release()
      note(&state, "thread \(name) cannot be started (\(String(cString: strerror(code)))); its work waits")
      return retryToStart(&state)
    }
    pthread_detach(thread)
    pthread_setname_np(thread, String(name.utf8.prefix(15)) ?? "executor")
    state.thread = thread
    state.shortage = nil
  }

  private func retryToStart(_ state: inout State) {
    state.isRetryingToStart = true
    // Runs on the cooperative pool, whose threads are there already.
    Task.detached {
      try? await Task.sleep(for: Self.restartDelay)
      self.state.withLock { state in
        state.isRetryingToStart = false
        if state.thread == nil && state.hasWork { self.startThread(&state) }
      }
    }
  }

  /// Reports a shortage once; not under the lock, as a log may take its time.
  private func note(_ state: inout State, _ shortage: String) {
    guard state.shortage != shortage else { return }
    state.shortage = shortage
    Task.detached { [onShortage] in onShortage(shortage) }
  }

  private func run() {
    var descriptors: [pollfd] = []
    var jobs: [Job] = []
    var hasLingered = false
    while true {
      runJobs(&jobs)
      let hasMore = runTurnHandlers()
      runDueTimers()
      guard let timeout = prepareToWait(&descriptors, hasMore: hasMore, hasLingered: hasLingered) else { return }
      let ready = poll(&descriptors, nfds_t(descriptors.count), timeout)
      // EINVAL and ENOMEM: the kernel has no room for the list; without a pause this would spin.
      if ready < 0 && errno != EINTR { usleep(UInt32(Self.unwakeableMilliseconds) * 1_000) }
      let wakeDescriptor = state.withLock { state in
        state.isWaiting = false
        return state.wakeDescriptor
      }
      hasLingered = ready == 0 && timeout == Self.lingerMilliseconds
      if ready > 0 { runReadyHandlers(descriptors, wakeDescriptor) }
    }
  }

  /// Runs jobs until none is left, for at most ``roundMax`` rounds.
  /// - Parameter jobs: empty before and after; its memory is used again.
  private func runJobs(_ jobs: inout [Job]) {
    for _ in 0..<Self.roundMax {
      state.withLock { swap(&jobs, &$0.jobs) }
      guard !jobs.isEmpty else { return }
      for job in jobs {
        if let executor = job.preferred {
          job.job.runSynchronously(on: executor)
        } else {
          job.job.runSynchronously(on: asUnownedSerialExecutor())
        }
      }
      jobs.removeAll(keepingCapacity: true)
    }
  }

  private func runTurnHandlers() -> Bool {
    var hasMore = false
    for turn in state.withLock(\.turnHandlers) where turn.handler() { hasMore = true }
    return hasMore
  }

  private func runDueTimers() {
    let due = state.withLock { state -> [@Sendable () -> Void] in
      guard let first = state.firstDeadline else { return [] }
      let now = ContinuousClock.now
      guard first <= now else { return [] }
      let due = state.timers.filter { $0.value.deadline <= now }
      for token in due.keys { state.timers[token] = nil }
      return due.sorted { $0.value.deadline < $1.value.deadline }.map(\.value.handler)
    }
    for handler in due { handler() }
  }

  /// Fills the list for poll(2) and gives its timeout in milliseconds; nil ends the thread.
  private func prepareToWait(_ descriptors: inout [pollfd], hasMore: Bool, hasLingered: Bool) -> Int32? {
    state.withLock { state in
      let isUnused = state.watches.isEmpty && state.timers.isEmpty && state.jobs.isEmpty && !hasMore
      if isUnused && hasLingered {
        state.thread = nil
        return nil
      }
      descriptors.removeAll(keepingCapacity: true)
      makeWakeable(&state)
      // A negative descriptor is skipped by poll(2).
      descriptors.append(pollfd(fd: state.wakeDescriptor, events: Int16(POLLIN), revents: 0))
      for (descriptor, watch) in state.watches {
        descriptors.append(pollfd(fd: descriptor, events: watch.events.rawValue, revents: 0))
      }
      guard state.jobs.isEmpty && !hasMore else { return 0 }
      state.isWaiting = true
      let isWakeable = state.wakeDescriptor >= 0
      guard let next = state.firstDeadline else {
        return !isWakeable ? Self.unwakeableMilliseconds : isUnused ? Self.lingerMilliseconds : -1
      }
      let longest = isWakeable ? 3_600_000 : Self.unwakeableMilliseconds
      // Rounded up, or the last millisecond would be spent spinning.
      let left = (next - .now) / .milliseconds(1)
      return Int32(min(max(left, 0).rounded(.up), Double(longest)))
    }
  }

  private func makeWakeable(_ state: inout State) {
    guard state.wakeDescriptor < 0 else { return }
    state.wakeDescriptor = baton_eventfd()
    if state.wakeDescriptor >= 0 {
      state.shortage = nil
    } else {
      let reason = String(cString: strerror(errno))
      note(&state, "thread \(name) has no descriptor to be woken by (\(reason)); it looks for work all the time")
    }
  }

  private func runReadyHandlers(_ descriptors: [pollfd], _ wakeDescriptor: Int32) {
    for entry in descriptors where entry.revents != 0 {
      if entry.fd == wakeDescriptor {
        var count: UInt64 = 0
        _ = read(wakeDescriptor, &count, MemoryLayout<UInt64>.size)
      } else {
        // Looked up now: an earlier handler of this turn may have ended the watch.
        let handler = state.withLock { $0.watches[entry.fd]?.handler }
        handler?(Readiness(rawValue: entry.revents))
      }
    }
  }
}
