import Testing

@testable import AMQPClient

@Suite("Confirm ledger")
struct ConfirmLedgerTests {
  private typealias Ledger = ConfirmLedger<Int>
  private let start = ContinuousClock.now

  private func ledger(_ count: Int) -> Ledger {
    var ledger = Ledger()
    for number in 1...count {
      let tag = ledger.register(number, byteCount: 10, deadline: start + .seconds(number))
      #expect(tag == UInt64(number))
    }
    return ledger
  }

  private func settle(
    _ ledger: inout Ledger, _ tag: UInt64, multiple: Bool = false, isAcknowledged: Bool = true
  ) -> [Int: AMQPPublishOutcome] {
    var outcomes: [Int: AMQPPublishOutcome] = [:]
    ledger.settle(tag: tag, multiple: multiple, isAcknowledged: isAcknowledged) { number, outcome in
      #expect(outcomes.updateValue(outcome, forKey: number) == nil)
    }
    return outcomes
  }

  @Test("confirms come in any order, and each settles its own message")
  func anyOrder() {
    var ledger = ledger(3)
    #expect(settle(&ledger, 2) == [2: .confirmed])
    #expect(settle(&ledger, 1) == [1: .confirmed])
    #expect(ledger.unsettledCount == 1 && ledger.unsettledByteCount == 10)
    #expect(settle(&ledger, 3, isAcknowledged: false) == [3: .nacked])
    #expect(ledger.unsettledCount == 0 && ledger.unsettledByteCount == 0)
  }

  @Test("multiple settles every older message that is not settled, and none twice")
  func multiple() {
    var ledger = ledger(5)
    _ = settle(&ledger, 2)
    #expect(settle(&ledger, 4, multiple: true) == [1: .confirmed, 3: .confirmed, 4: .confirmed])
    #expect(settle(&ledger, 0, multiple: true, isAcknowledged: false) == [5: .nacked])
  }

  @Test("a returned message settles as returned although its confirm follows")
  func returned() {
    var ledger = ledger(3)
    #expect(ledger.markReturned(code: 312, text: "NO_ROUTE") { $0 == 2 } == true)
    #expect(
      settle(&ledger, 3, multiple: true)
        == [1: .confirmed, 2: .returned(code: 312, text: "NO_ROUTE"), 3: .confirmed])
  }

  @Test("a return marks the oldest of equal messages, a second return the next")
  func equalMessages() {
    var ledger = Ledger()
    for number in 1...3 {
      _ = ledger.register(number, byteCount: 1, deadline: start)
    }
    #expect(ledger.markReturned(code: 312, text: "") { _ in true } == true)
    #expect(ledger.markReturned(code: 312, text: "") { _ in true } == true)
    let returned = AMQPPublishOutcome.returned(code: 312, text: "")
    #expect(settle(&ledger, 3, multiple: true) == [1: returned, 2: returned, 3: .confirmed])
    #expect(ledger.markReturned(code: 312, text: "") { _ in true } == false)
  }

  @Test(
    "a confirm for a tag never given out, or settled before, changes nothing", arguments: [1, 3, 4, 99] as [UInt64])
  func strangeTags(tag: UInt64) {
    var ledger = ledger(3)
    _ = settle(&ledger, 1)
    _ = settle(&ledger, 3)
    #expect(settle(&ledger, tag).isEmpty)
    #expect(ledger.unsettledCount == 1)
  }

  @Test("what is not confirmed in time is unknown, keeps its place in the window, and is not resumed again")
  func expires() {
    var ledger = ledger(3)
    var expired: [Int] = []
    let next = ledger.expire(now: start + .seconds(2), reason: "late") { number, outcome in
      expired.append(number)
      #expect(outcome == .unknown("late"))
    }
    #expect(expired == [1, 2])
    #expect(next == start + .seconds(3))
    #expect(ledger.unsettledCount == 3)
    #expect(settle(&ledger, 3, multiple: true) == [3: .confirmed])
    #expect(ledger.unsettledCount == 0)
  }

  @Test("when the channel is over every message gets an outcome, and tags begin at 1 again")
  func failsAll() {
    var ledger = ledger(3)
    _ = settle(&ledger, 1)
    ledger.markReturned(code: 312, text: "NO_ROUTE") { $0 == 3 }
    var outcomes: [Int: AMQPPublishOutcome] = [:]
    ledger.failAll(reason: "lost") { outcomes[$0] = $1 }
    #expect(outcomes == [2: .unknown("lost"), 3: .returned(code: 312, text: "NO_ROUTE")])
    #expect(ledger.register(4, byteCount: 1, deadline: start) == 1)
  }
}
