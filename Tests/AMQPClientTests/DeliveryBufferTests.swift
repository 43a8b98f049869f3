import Synchronization
import Testing

@testable import AMQPClient

@Suite("Delivery buffer")
struct DeliveryBufferTests {
  private func delivery(_ tag: UInt64, _ generation: UInt64 = 1) -> Delivery {
    Delivery(body: [], tag: tag, generation: generation)
  }

  @Test("deliveries are read in their order, by a reader that came before or after them")
  func order() async {
    let buffer = DeliveryBuffer()
    #expect(buffer.begin {} == 1)
    let reader = Task {
      var tags: [UInt64] = []
      for await delivery in Deliveries(buffer: buffer) { tags.append(delivery.tag) }
      return tags
    }
    #expect(buffer.push([delivery(1), delivery(2)]))
    await Task.yield()
    #expect(buffer.push([delivery(3)]))
    buffer.end()
    #expect(await reader.value == [1, 2, 3])
  }

  @Test("the sequence ends after what was received, and begins again when reopened")
  func ends() async {
    let buffer = DeliveryBuffer()
    _ = buffer.begin {}
    #expect(buffer.push([delivery(1)]))
    buffer.end()
    var iterator = Deliveries(buffer: buffer).makeAsyncIterator()
    #expect(await iterator.next()?.tag == 1)
    #expect(await iterator.next() == nil)
    buffer.reopen()
    #expect(buffer.push([delivery(2)]))
    #expect(await iterator.next()?.tag == 2)
  }

  @Test("a cancelled reader ends, and the next one misses nothing")
  func cancelled() async {
    let buffer = DeliveryBuffer()
    _ = buffer.begin {}
    let reader = Task { await buffer.take() }
    reader.cancel()
    #expect(await reader.value == nil)
    #expect(buffer.push([delivery(1)]))
    #expect(await buffer.take()?.tag == 1)
  }

  @Test("when the channel is gone nothing of it is read or settled any more")
  func invalidated() async {
    let buffer = DeliveryBuffer()
    _ = buffer.begin {}
    #expect(buffer.push([delivery(1), delivery(2)]))
    #expect(buffer.settle(delivery(1), .acknowledge) == .sent)
    buffer.invalidate()
    #expect(buffer.unreadCount == 0)
    #expect(buffer.takeActions() == [])
    #expect(buffer.settle(delivery(2), .acknowledge) == .stale)
    #expect(buffer.begin {} == 2)
    #expect(buffer.push([delivery(1, 2)]))
    #expect(buffer.settle(delivery(1), .acknowledge) == .stale)
    #expect(buffer.settle(delivery(1, 2), .acknowledge) == .sent)
    #expect(buffer.settle(delivery(1, 2), .acknowledge) == .stale)
    #expect(buffer.takeActions() == [.acknowledge(1, multiple: false)])
  }

  @Test("the connection is woken once for all decisions until it has taken them")
  func wakes() {
    let buffer = DeliveryBuffer()
    let counter = WakeCounter()
    _ = buffer.begin { counter.wake() }
    #expect(buffer.push((1...4).map { delivery($0) }))
    for tag in 1...3 as ClosedRange<UInt64> { #expect(buffer.settle(delivery(tag), .acknowledge) == .sent) }
    #expect(counter.count == 1)
    #expect(buffer.takeActions() == [.acknowledge(3, multiple: true)])
    #expect(buffer.settle(delivery(4), .acknowledge) == .sent)
    #expect(counter.count == 2)
  }
}

private final class WakeCounter: Sendable {
  private let number = Mutex(0)
  var count: Int { number.withLock { $0 } }
  func wake() { number.withLock { $0 += 1 } }
}
