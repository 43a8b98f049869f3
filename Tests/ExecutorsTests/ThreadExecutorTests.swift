import Executors
import Glibc
import Testing

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
