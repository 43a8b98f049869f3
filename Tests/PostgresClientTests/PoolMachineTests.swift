import Testing

@testable import PostgresClient

@Suite("Pool machine")
struct PoolMachineTests {
  private final class Wire {}
  private typealias Machine = PoolMachine<Wire, Int>

  /// A machine with some connections, got the regular way.
  private func machine(sizeMax: Int, open: Int) -> (Machine, [Wire]) {
    var machine = Machine(sizeMax: sizeMax)
    let wires = (0..<open).map { _ in Wire() }
    for waiter in 0..<open { machine.wait(.exclusive, waiter) }
    for wire in wires {
      check(machine.beginConnecting())
      check(!machine.connected(wire))
    }
    machine.removeWaiters { _ in true }
    return (machine, wires)
  }

  @Test("nothing connects until a caller needs it, and never more than the size")
  func lazy() {
    var machine = Machine(sizeMax: 2)
    check(!machine.beginConnecting())
    check(machine.acquire(.shared) == nil)
    machine.wait(.shared, 1)
    check(machine.beginConnecting())
    check(!machine.beginConnecting())
    for waiter in 2...5 { machine.wait(.exclusive, waiter) }
    check(machine.beginConnecting())
    check(!machine.beginConnecting())
    check(machine.connectingCount == 2)
  }

  @Test("the connection with the least in flight is taken")
  func leastInFlight() {
    var (machine, wires) = machine(sizeMax: 2, open: 2)
    let first = machine.acquire(.shared)
    let second = machine.acquire(.shared)
    check(first === wires[0] && second === wires[1])
    machine.release(wires[1], .shared)
    check(machine.acquire(.shared) === wires[1])
    check(machine.inFlightCount == 2)
  }

  @Test("a borrowed connection has one user; later callers wait and are served in order")
  func borrowing() {
    var (machine, wires) = machine(sizeMax: 1, open: 1)
    check(machine.acquire(.exclusive) === wires[0])
    check(machine.acquire(.shared) == nil)
    machine.wait(.shared, 1)
    machine.wait(.exclusive, 2)
    machine.wait(.shared, 3)
    var granted: [Int] = []
    func serve() {
      machine.serve { waiter, _ in
        granted.append(waiter)
        return true
      }
    }
    machine.release(wires[0], .exclusive)
    serve()
    // The previous borrower is gone: one shares, and the next waits for its end, although it shares with others.
    check(granted == [1])
    check(machine.acquire(.shared) == nil)
    machine.release(wires[0], .shared)
    serve()
    check(granted == [1, 2])
    check(machine.acquire(.shared) == nil)
    machine.release(wires[0], .exclusive)
    serve()
    check(granted == [1, 2, 3])
  }

  @Test("a connection in use is not borrowed: its user may send later than the borrower begins")
  func inUse() {
    var (machine, wires) = machine(sizeMax: 2, open: 1)
    check(machine.acquire(.shared) === wires[0])
    check(machine.acquire(.exclusive) == nil)
    machine.wait(.exclusive, 1)
    check(machine.beginConnecting())
    let other = Wire()
    check(!machine.connected(other))
    var granted: [Wire] = []
    machine.serve { _, wire in
      granted.append(wire)
      return true
    }
    check(granted.count == 1 && granted.first === other)
  }

  @Test("a waiter who does not take the connection leaves it to the next")
  func cancelledWaiter() {
    var (machine, wires) = machine(sizeMax: 1, open: 1)
    _ = machine.acquire(.exclusive)
    machine.wait(.exclusive, 1)
    machine.wait(.exclusive, 2)
    machine.release(wires[0], .exclusive)
    var granted: [Int] = []
    machine.serve { waiter, _ in
      if waiter == 1 { return false }
      granted.append(waiter)
      return true
    }
    check(granted == [2] && machine.borrowedCount == 1 && machine.waitingCount == 0)
  }

  @Test("callers who overlap make the pool grow, one connection at a time")
  func growth() {
    var (machine, wires) = machine(sizeMax: 3, open: 1)
    _ = machine.acquire(.shared)
    check(!machine.beginConnecting())
    check(machine.acquire(.shared) === wires[0])
    check(machine.beginConnecting())
    check(!machine.beginConnecting())
  }

  @Test("lost connections are replaced, and only those that were in")
  func loss() {
    var (machine, wires) = machine(sizeMax: 2, open: 2)
    check(machine.lost(wires[0]))
    check(!machine.lost(wires[0]))
    check(machine.beginConnecting())
    check(!machine.beginConnecting())
    check(machine.connected(Wire()))
    check(!machine.beginConnecting())
    check(machine.openCount == 2 && machine.lostCount == 0)
    // The use of a lost connection ends after its loss.
    machine.release(wires[0], .shared)
    check(machine.inFlightCount == 0)
  }

  @Test("while attempts fail there is one at a time, and it is repeated as long as a caller needs it")
  func failures() {
    var machine = Machine(sizeMax: 4)
    for waiter in 1...3 { machine.wait(.exclusive, waiter) }
    check(machine.beginConnecting())
    check(machine.failed() == 0)
    check(!machine.beginConnecting())
    check(machine.failed() == 1)
    machine.removeWaiters { _ in true }
    check(machine.failed() == nil)
    check(machine.connectingCount == 0 && machine.failureCount == 3)
    machine.wait(.shared, 4)
    check(machine.beginConnecting())
    check(!machine.connected(Wire()))
    check(machine.failureCount == 0)
  }
}
