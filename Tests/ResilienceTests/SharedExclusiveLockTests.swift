import Resilience
import Support
import Testing

@Suite("Shared and exclusive lock")
struct SharedExclusiveLockTests {
  @Test("shared ones run side by side")
  func sideBySide() async throws {
    let (lock, latch) = (SharedExclusiveLock(), Latch())
    try await withThrowingTaskGroup { group in
      for _ in 0..<20 { group.addTask { try await lock.withShared { await latch.pass() } } }
      try await eventually { await latch.arrivals == 20 }
      await latch.open()
      try await group.waitForAll()
    }
  }

  @Test("an exclusive one waits for all inside, holds back those who come, and lets them in after it")
  func order() async throws {
    let (lock, inside, alone) = (SharedExclusiveLock(), Latch(), Latch())
    let log = Recorder<String>()
    let shared = Task { try await lock.withShared { await inside.pass() } }
    try await eventually { await inside.arrivals == 1 }
    let exclusive = Task {
      try await lock.withExclusive {
        await log.add("exclusive")
        await alone.pass()
      }
    }
    try await eventually { lock.waitingCount == 1 }
    let late = (0..<3).map { _ in Task { try await lock.withShared { await log.add("late") } } }
    try await eventually { lock.waitingCount == 4 }
    #expect(await log.elements.isEmpty)
    await inside.open()
    try await shared.value
    try await eventually { await alone.arrivals == 1 }
    #expect(await log.elements == ["exclusive"])
    await alone.open()
    try await exclusive.value
    for task in late { try await task.value }
    #expect(await log.elements == ["exclusive", "late", "late", "late"])
  }

  @Test("an exclusive one that is cancelled while it waits lets the shared ones behind it in")
  func cancelledExclusive() async throws {
    let (lock, inside, behind) = (SharedExclusiveLock(), Latch(), Latch())
    let shared = Task { try await lock.withShared { await inside.pass() } }
    try await eventually { await inside.arrivals == 1 }
    let exclusive = Task { try await lock.withExclusive { #expect(Bool(false), "ran") } }
    try await eventually { lock.waitingCount == 1 }
    let late = Task { try await lock.withShared { await behind.pass() } }
    try await eventually { lock.waitingCount == 2 }
    exclusive.cancel()
    await #expect(throws: CancellationError.self) { try await exclusive.value }
    try await eventually { await behind.arrivals == 1 }
    await behind.open()
    await inside.open()
    try await shared.value
    try await late.value
  }

  @Test("a group goes in together, up to the smallest size that one of it has asked for, and never with shared ones")
  func group() async throws {
    let (lock, inside, together) = (SharedExclusiveLock(), Latch(), Latch())
    let shared = Task { try await lock.withShared { await inside.pass() } }
    try await eventually { await inside.arrivals == 1 }
    #expect(lock.exclusiveGroup == nil)
    let group = (0..<3).map { index in
      Task { try await lock.withExclusive(sharedBy: index == 0 ? 2 : 5) { await together.pass() } }
    }
    try await eventually { lock.waitingCount == 3 }
    #expect(lock.exclusiveGroup == .init(max: 2, count: 3))
    #expect(await together.arrivals == 0)
    await inside.open()
    try await shared.value
    try await eventually { await together.arrivals == 2 }
    #expect(lock.waitingCount == 1)
    await together.open()
    for task in group { try await task.value }
    #expect(lock.exclusiveGroup == nil)
  }

  @Test("an error leaves the lock free")
  func errors() async throws {
    let lock = SharedExclusiveLock()
    await #expect(throws: TestError.self) { try await lock.withExclusive { throw TestError() } }
    await #expect(throws: TestError.self) { try await lock.withShared { throw TestError() } }
    try await lock.withExclusive {}
  }

  @Test("under load with cancellations, an exclusive one is never with another, and all get their turn")
  func load() async {
    actor Room {
      var shared = 0
      var exclusive = 0
      func enter(exclusively: Bool) {
        #expect(exclusive == 0)
        if exclusively { #expect(shared == 0) }
        if exclusively { exclusive += 1 } else { shared += 1 }
      }
      func leave(exclusively: Bool) { if exclusively { exclusive -= 1 } else { shared -= 1 } }
    }
    let (lock, room) = (SharedExclusiveLock(), Room())
    await withDiscardingTaskGroup { group in
      for number in 0..<3000 {
        group.addTask {
          let isExclusive = number % 10 == 0
          let body: @Sendable () async -> Void = {
            await room.enter(exclusively: isExclusive)
            await Task.yield()
            await room.leave(exclusively: isExclusive)
          }
          let task = Task {
            if isExclusive { try await lock.withExclusive(body) } else { try await lock.withShared(body) }
          }
          if number % 7 == 0 { task.cancel() }
          let result = await task.result
          if number % 7 != 0 { #expect(throws: Never.self) { try result.get() } }
        }
      }
    }
    #expect(lock.waitingCount == 0)
  }
}
