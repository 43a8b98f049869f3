import Support
import Testing

@testable import AMQPClient

@Suite("Acknowledgement ledger")
struct AcknowledgementLedgerTests {
  private func ledger(_ count: UInt64) -> AcknowledgementLedger {
    var ledger = AcknowledgementLedger()
    for tag in 1...count { #expect(ledger.deliver(tag) == true) }
    return ledger
  }

  @Test("acknowledged deliveries with nothing unsettled before them go as one frame")
  func coalesces() {
    var ledger = ledger(5)
    for tag in [2, 1, 3] as [UInt64] { #expect(ledger.decide(tag, .acknowledge) == true) }
    #expect(ledger.flush() == [.acknowledge(3, multiple: true)])
    #expect(ledger.inHandCount == 2)
    #expect(ledger.flush() == [])
  }

  @Test("a single acknowledgement is not sent as multiple")
  func single() {
    var ledger = ledger(2)
    #expect(ledger.decide(1, .acknowledge) == true)
    #expect(ledger.flush() == [.acknowledge(1, multiple: false)])
  }

  @Test("behind an undecided delivery every acknowledgement goes alone")
  func gaps() {
    var ledger = ledger(6)
    for tag in [1, 3, 5] as [UInt64] { #expect(ledger.decide(tag, .acknowledge) == true) }
    #expect(
      ledger.flush() == [
        .acknowledge(1, multiple: false), .acknowledge(3, multiple: false), .acknowledge(5, multiple: false),
      ])
    #expect(ledger.decide(2, .acknowledge) == true)
    #expect(ledger.decide(4, .acknowledge) == true)
    // 3 is settled at the broker already: multiple passes over it.
    #expect(ledger.flush() == [.acknowledge(4, multiple: true)])
  }

  @Test("an acknowledgement that would go alone is kept once, and shares a frame if the gap closes")
  func kept() {
    var ledger = ledger(6)
    for tag in [1, 3, 5] as [UInt64] { #expect(ledger.decide(tag, .acknowledge) == true) }
    #expect(ledger.flush(early: false) == [.acknowledge(1, multiple: false)])
    #expect(ledger.decisionCount == 2)
    #expect(ledger.decide(2, .acknowledge) == true)
    // 3 has found its frame; 5 has waited long enough.
    #expect(ledger.flush(early: false) == [.acknowledge(3, multiple: true), .acknowledge(5, multiple: false)])
    #expect(ledger.decisionCount == 0)
  }

  @Test("rejections go before an acknowledgement that passes over them")
  func rejectsFirst() {
    var ledger = ledger(3)
    #expect(ledger.decide(1, .acknowledge) == true)
    #expect(ledger.decide(2, .reject(requeue: false)) == true)
    #expect(ledger.decide(3, .acknowledge) == true)
    #expect(ledger.flush() == [.reject(2, requeue: false), .acknowledge(3, multiple: true)])
  }

  @Test("a delivery is settled once, and an unknown tag not at all")
  func once() {
    var ledger = ledger(2)
    #expect(ledger.decide(1, .acknowledge) == true)
    #expect(ledger.decide(1, .acknowledge) == false)
    _ = ledger.flush()
    #expect(ledger.decide(1, .reject(requeue: true)) == false)
    #expect(ledger.decide(0, .acknowledge) == false)
    #expect(ledger.decide(3, .acknowledge) == false)
  }

  @Test("tags that were never handed over count as settled; tags that go backwards are refused")
  func tagOrder() {
    var ledger = AcknowledgementLedger()
    #expect(ledger.deliver(3) == true)
    #expect(ledger.decide(2, .acknowledge) == false)
    #expect(ledger.deliver(3) == false)
    #expect(ledger.deliver(4) == true)
    #expect(ledger.deliver(.max) == false)
  }

  @Test("the broker and the ledger agree on every tag, whatever the order", arguments: 1...40 as ClosedRange<UInt64>)
  func random(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var ledger = AcknowledgementLedger()
    var broker = BrokerModel()
    var inHand: [UInt64] = []
    var next: UInt64 = 1
    for _ in 0..<400 {
      switch Int.random(in: 0..<10, using: &generator) {
      case 0..<4:
        #expect(ledger.deliver(next) == true)
        broker.unsettled.insert(next)
        inHand.append(next)
        next += 1
      case 4..<8 where !inHand.isEmpty:
        let tag = inHand.remove(at: Int.random(in: 0..<inHand.count, using: &generator))
        let isAcknowledged = Bool.random(using: &generator)
        #expect(ledger.decide(tag, isAcknowledged ? .acknowledge : .reject(requeue: true)) == true)
        broker.expected[tag] = isAcknowledged
      default:
        for action in ledger.flush() { broker.apply(action) }
        #expect(broker.unsettled == Set(inHand), "seed \(seed)")
      }
    }
    for action in ledger.flush() { broker.apply(action) }
    #expect(broker.unsettled == Set(inHand), "seed \(seed)")
  }
}

/// What a broker does with the frames: a wrong one would acknowledge what was not, or name an unknown tag.
private struct BrokerModel {
  var unsettled: Set<UInt64> = []
  var expected: [UInt64: Bool] = [:]

  mutating func apply(_ action: AcknowledgementLedger.Action) {
    switch action {
    case .acknowledge(let tag, let multiple):
      #expect(unsettled.contains(tag))
      for settled in multiple ? unsettled.filter({ $0 <= tag }) : [tag] {
        #expect(expected[settled] == true)
        unsettled.remove(settled)
      }
    case .reject(let tag, _):
      #expect(expected[tag] == false)
      #expect(unsettled.remove(tag) != nil)
    }
  }
}
