import HTTPKit
import HTTPTypes
import NIOCore
import Support
import Synchronization
import Testing

@testable import BatonServer

@Suite("Room for bodies", .timeLimit(.minutes(1)))
struct BodyMemoryBudgetTests {
  /// What is held now, and what was at most.
  private final class Held: Sendable {
    private let counts = Mutex((now: 0, most: 0))
    var most: Int { counts.withLock { $0.most } }

    func add(_ byteCount: Int) {
      counts.withLock { counts in
        counts.now += byteCount
        counts.most = max(counts.most, counts.now)
      }
    }
  }

  @Test("however many come at once, they never have more than the room together; all get their turn")
  func bounded() async throws {
    let room = BodyMemoryBudget(byteCountMax: 100)
    let held = Held()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<200 {
        let byteCount = index % 3 == 0 ? 100 : 40
        group.addTask {
          try await room.hold(byteCount) {
            held.add(byteCount)
            await Task.yield()
            held.add(-byteCount)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(held.most == 100)
  }

  @Test("room is given back after a failure; a small body passes a large one that waits")
  func givenBack() async throws {
    let room = BodyMemoryBudget(byteCountMax: 100)
    await #expect(throws: HTTPFault.self) { try await room.hold(100) { throw HTTPFault.tooLarge(1) } }
    let passed = try await room.hold(60) { try await room.hold(40) { true } }
    #expect(passed)
  }

  @Test("one address has half of the room, and leaves the rest to others; a large body has room whatever its size")
  func shares() async throws {
    let room = BodyMemoryBudget(byteCountMax: 100)
    let (one, two) = (
      PeerAddress(try SocketAddress(ipAddress: "192.0.2.1", port: 1)),
      PeerAddress(try SocketAddress(ipAddress: "192.0.2.2", port: 1))
    )
    let fault = try await room.hold(40, for: one) {
      let other = try await room.hold(60, for: two) { true }
      #expect(other)
      return await #expect(throws: HTTPFault.self) { try await room.hold(20, for: one) {} }
    }
    #expect(fault?.status == .serviceUnavailable)
    let whole = try await room.hold(100, for: one) { true }
    #expect(whole)
  }

  @Test("a request that gets no room in time is asked to come again")
  func none() async throws {
    let room = BodyMemoryBudget(byteCountMax: 100)
    let fault = try await room.hold(100) {
      await #expect(throws: HTTPFault.self) { try await room.hold(1) {} }
    }
    #expect(fault?.status == .serviceUnavailable)
    #expect(fault?.headers[.retryAfter] != nil)
  }
}
