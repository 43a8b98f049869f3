import NIOCore
import Testing

@testable import HTTPKit

@Suite("What a connection waits for")
struct ConnectionStateTests {
  @Test("a request goes from its head to its body, its answer, and the next request")
  func phases() {
    var state = ConnectionState()
    #expect(state.phase == .head)
    state.bytesArrived()
    state.headArrived(isLast: false)
    #expect(state.phase == .body)
    state.bytesArrived()
    state.bodyEnded()
    #expect(state.phase == .answer)
    let isClosing = state.answerBegan(isLast: false)
    #expect(!isClosing)
    state.answerEnded()
    #expect(state.phase == .idle)
    state.bytesArrived()
    #expect(state.phase == .head)
  }

  @Test("an answer before the whole body ends the connection, behind the rest of the body")
  func early() {
    var state = ConnectionState()
    state.headArrived(isLast: false)
    let isClosing = state.answerBegan(isLast: false)
    #expect(isClosing)
    state.answerEnded()
    #expect(state.phase == .drain)
    state.bytesArrived()
    #expect(state.phase == .drain)
  }

  @Test("a client that takes nothing is waited for, whatever else happens")
  func blocked() {
    var state = ConnectionState()
    state.headArrived(isLast: false)
    state.bodyEnded()
    state.isBlocked = true
    #expect(state.phase == .write)
    state.isBlocked = false
    #expect(state.phase == .answer)
  }
}

@Suite("The connections of a listener")
struct ConnectionTableTests {
  private let start = ContinuousClock.now

  private func peer(_ address: String) throws -> PeerAddress {
    PeerAddress(try SocketAddress(ipAddress: address, port: 1))
  }

  @Test("a deadline counts from the beginning of what it bounds, and work of this server has none")
  func overdue() throws {
    let table = ConnectionTable<String>(limits: ConnectionLimits(connectionMax: 100))
    let peer = try peer("192.0.2.1")
    let (dribbler, _) = table.add("dribbler", from: peer, now: start)
    let (working, _) = table.add("working", from: peer, now: start)
    table.set(.answer, of: working, now: start + .seconds(1))
    #expect(table.takeOverdue(now: start + .seconds(9)).isEmpty)
    #expect(table.takeOverdue(now: start + .seconds(10)) == ["dribbler"])
    #expect(table.takeOverdue(now: start + .seconds(100_000)).isEmpty)
    table.set(.drain, of: working, now: start)
    #expect(table.takeOverdue(now: start + .seconds(2)) == ["working"])
    #expect(table.count == 0)
    table.remove(dribbler)
  }

  @Test("if the table is full, the address with the most connections loses its longest waiting one")
  func crowded() throws {
    let limits = ConnectionLimits(connectionMax: 8)
    let table = ConnectionTable<String>(limits: limits)
    let (many, few) = (try peer("192.0.2.1"), try peer("192.0.2.2"))
    _ = table.add("few", from: few, now: start)
    for number in 0..<limits.crowdedCount - 1 {
      #expect(table.add("many \(number)", from: many, now: start + .seconds(1 + number)).victim == nil)
    }
    #expect(table.add("genuine", from: few, now: start + .seconds(50)).victim == "many 0")
    #expect(table.add("another", from: many, now: start + .seconds(51)).victim == "many 1")
    #expect(table.count == limits.crowdedCount)
  }

  @Test("a request that is being answered is never closed for another")
  func answering() throws {
    let table = ConnectionTable<String>(limits: ConnectionLimits(connectionMax: 1))
    let (first, _) = table.add("first", from: try peer("192.0.2.1"), now: start)
    table.set(.answer, of: first)
    #expect(table.add("second", from: try peer("192.0.2.1")).victim == nil)
    table.set(.idle, of: first, now: start)
    #expect(table.add("third", from: try peer("192.0.2.1")).victim == "first")
  }
}
