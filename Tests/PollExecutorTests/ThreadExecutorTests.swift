import Glibc
import Synchronization
import Testing

@testable import PollExecutor

private actor Counter {
  nonisolated let executor: ThreadExecutor
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
  private(set) var count = 0
  private(set) var threads: Set<UInt> = []

  init(on executor: ThreadExecutor) { self.executor = executor }

  func increment() {
    count += 1
    threads.insert(UInt(pthread_self()))
  }
}

@Suite("Thread executor")
struct ThreadExecutorTests {
  @Test("jobs of many tasks run one at a time, on one thread")
  func serial() async {
    let counter = Counter(on: ThreadExecutor(name: "test"))
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<1_000 { group.addTask { await counter.increment() } }
    }
    #expect(await counter.count == 1_000)
    #expect(await counter.threads.count == 1)
  }

  @Test("a task that prefers the thread runs there, before, between and after calls of its actors")
  func preferred() async {
    let executor = ThreadExecutor(name: "test")
    let counter = Counter(on: executor)
    let preferred = ThreadTaskExecutor(executor)
    await counter.increment()
    let thread = await counter.threads.first
    let threads = await withTaskExecutorPreference(preferred) {
      await withTaskGroup(of: Set<UInt>.self) { group in
        for _ in 0..<100 {
          group.addTask {
            let before = UInt(pthread_self())
            await counter.increment()
            return [before, UInt(pthread_self())]
          }
        }
        return await group.reduce(into: Set<UInt>()) { $0.formUnion($1) }
      }
    }
    #expect(threads == [thread])
    #expect(await counter.count == 101)
  }

  @Test("a handler runs when its socket becomes readable, isolated to the executor's actors")
  func readable() async {
    var pipeEnds: [Int32] = [0, 0]
    #expect(pipe(&pipeEnds) == 0)
    let (readEnd, writeEnd) = (pipeEnds[0], pipeEnds[1])
    let executor = ThreadExecutor(name: "test")
    let counter = Counter(on: executor)
    await withCheckedContinuation { continuation in
      executor.watch(readEnd, for: .read) { ready in
        #expect(ready.contains(.read))
        executor.unwatch(readEnd)
        counter.assumeIsolated { $0.increment() }
        continuation.resume()
      }
      _ = write(writeEnd, "x", 1)
    }
    #expect(await counter.count == 1)
    close(readEnd)
    close(writeEnd)
  }

  @Test("timers run in the order of their deadlines, and a cancelled one never")
  func timers() async {
    let executor = ThreadExecutor(name: "test")
    let (ticks, continuation) = AsyncStream.makeStream(of: Int.self)
    let cancelled = executor.schedule(after: .milliseconds(1)) { continuation.yield(0) }
    executor.cancel(cancelled)
    _ = executor.schedule(after: .milliseconds(40)) {
      continuation.yield(2)
      continuation.finish()
    }
    _ = executor.schedule(after: .milliseconds(5)) { continuation.yield(1) }
    var seen: [Int] = []
    for await tick in ticks { seen.append(tick) }
    #expect(seen == [1, 2])
  }

  @Test("a turn handler runs after the jobs, and again at once when it asks to")
  func turns() async {
    let executor = ThreadExecutor(name: "test")
    let counter = Counter(on: executor)
    let (turns, continuation) = AsyncStream.makeStream(of: Int.self)
    let token = executor.onEveryTurn {
      counter.assumeIsolated { counter in
        counter.increment()
        continuation.yield(counter.threads.count)
        if counter.assumedCount == 3 { continuation.finish() }
        return counter.assumedCount < 3
      }
    }
    await counter.touch()
    for await _ in turns {}
    executor.cancel(token)
    #expect(await counter.count >= 3)
  }

  @Test("a chain of jobs runs within a turn")
  func chain() async {
    let executor = ThreadExecutor(name: "test")
    let turns = Mutex(0)
    let token = executor.onEveryTurn {
      turns.withLock { $0 += 1 }
      return false
    }
    let passed = await withTaskExecutorPreference(ThreadTaskExecutor(executor)) {
      let start = turns.withLock { $0 }
      for _ in 0..<10 { await Task.yield() }
      return turns.withLock { $0 } - start
    }
    executor.cancel(token)
    #expect(passed <= 1)
  }

  @Test("a chain of jobs without an end keeps no socket and no timer waiting", .timeLimit(.minutes(1)))
  func endlessChain() async {
    var pipeEnds: [Int32] = [0, 0]
    #expect(pipe(&pipeEnds) == 0)
    let (readEnd, writeEnd) = (pipeEnds[0], pipeEnds[1])
    let executor = ThreadExecutor(name: "test")
    let awaited = Mutex(2)
    executor.watch(readEnd, for: .read) { _ in
      executor.unwatch(readEnd)
      awaited.withLock { $0 -= 1 }
    }
    _ = executor.schedule(after: .milliseconds(1)) { awaited.withLock { $0 -= 1 } }
    _ = write(writeEnd, "x", 1)
    await withTaskExecutorPreference(ThreadTaskExecutor(executor)) {
      while awaited.withLock({ $0 > 0 }) { await Task.yield() }
    }
    close(readEnd)
    close(writeEnd)
  }

  @Test("the thread ends by itself and starts again with the next job")
  func restarts() async throws {
    let executor = ThreadExecutor(name: "lingers")
    let counter = Counter(on: executor)
    await counter.increment()
    while threadNames().contains("lingers") { await Task.yield() }
    await counter.increment()
    #expect(await counter.count == 2)
  }
}

@Suite("Thread executor without resources", .serialized)
struct ThreadExecutorShortageTests {
  @Test("while no thread can be started its jobs wait, the shortage is reported once, and then they run")
  func noThread() async {
    let failures = Mutex(3)
    let (shortages, report) = AsyncStream.makeStream(of: String.self)
    let executor = ThreadExecutor(name: "starved", onShortage: { report.yield($0) }) { thread, start, context in
      let fails = failures.withLock { left in
        left -= 1
        return left >= 0
      }
      return fails ? EAGAIN : pthread_create(&thread, nil, start, context)
    }
    let counter = Counter(on: executor)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<100 { group.addTask { await counter.increment() } }
    }
    #expect(await counter.count == 100)
    #expect(await counter.threads.count == 1)
    #expect(failures.withLock { $0 } == -1)
    report.finish()
    var seen: [String] = []
    for await shortage in shortages { seen.append(shortage) }
    #expect(seen.count == 1 && seen.first?.contains("starved") == true)
  }

  @Test("without a descriptor left it still runs jobs, timers and watches, and is woken again once there is one")
  func noDescriptor() async throws {
    var pipeEnds: [Int32] = [0, 0]
    #expect(pipe(&pipeEnds) == 0)
    let (readEnd, writeEnd) = (pipeEnds[0], pipeEnds[1])
    let (shortages, report) = AsyncStream.makeStream(of: String.self)
    let executor = ThreadExecutor(name: "poor") { report.yield($0) }
    let counter = Counter(on: executor)
    let (taken, limit) = takeAllDescriptors()
    #expect(isExhausted)
    for _ in 0..<20 { await counter.increment() }
    await withCheckedContinuation { continuation in
      executor.watch(readEnd, for: .read) { _ in
        executor.unwatch(readEnd)
        continuation.resume()
      }
      _ = write(writeEnd, "x", 1)
    }
    await withCheckedContinuation { continuation in
      _ = executor.schedule(after: .milliseconds(1)) { continuation.resume() }
    }
    let shortage = await shortages.first { _ in true }
    var restored = limit
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &restored)
    for descriptor in taken { close(descriptor) }
    #expect(shortage?.contains("poor") == true)
    #expect(await counter.count == 20)
    await counter.increment()
    #expect(await counter.count == 21)
    close(readEnd)
    close(writeEnd)
  }

  private var isExhausted: Bool {
    let descriptor = dup(0)
    if descriptor >= 0 { close(descriptor) }
    return descriptor < 0
  }

  /// Leaves the process no descriptor; the tests of this process run one at a time.
  private func takeAllDescriptors() -> ([Int32], limit: rlimit) {
    var old = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    getrlimit(resource, &old)
    var low = old
    let next = dup(0)
    close(next)
    low.rlim_cur = rlim_t(next + 8)
    setrlimit(resource, &low)
    var taken: [Int32] = []
    while case let descriptor = dup(0), descriptor >= 0 { taken.append(descriptor) }
    return (taken, old)
  }
}

extension Counter {
  fileprivate var assumedCount: Int { count }
  fileprivate func touch() {}
}

private func threadNames() -> [String] {
  guard let folder = opendir("/proc/self/task") else { return [] }
  defer { closedir(folder) }
  var names: [String] = []
  while let entry = readdir(folder) {
    let id = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    guard let file = fopen("/proc/self/task/\(id)/comm", "r") else { continue }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 64)
    guard fgets(&line, 64, file) != nil else { continue }
    names.append(String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
  }
  return names
}
