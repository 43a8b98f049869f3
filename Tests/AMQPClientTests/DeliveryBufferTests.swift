import Synchronization
import Testing

@testable import AMQPClient

@Suite("Delivery buffer")
struct DeliveryBufferTests {
  private func delivery(_ tag: UInt64, _ generation: UInt64 = 1) -> AMQPDelivery {
    AMQPDelivery(body: [], tag: tag, generation: generation)
  }

  @Test("deliveries are read in their order, by a reader that came before or after them")
  func order() async {
    let buffer = DeliveryBuffer(prefetch: 4)
    #expect(buffer.begin { _ in } == 1)
    let reader = Task {
      var tags: [UInt64] = []
      for await delivery in AMQPDeliveries(buffer: buffer) { tags.append(delivery.tag) }
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
    let buffer = DeliveryBuffer(prefetch: 4)
    _ = buffer.begin { _ in }
    #expect(buffer.push([delivery(1)]))
    buffer.end()
    var iterator = AMQPDeliveries(buffer: buffer).makeAsyncIterator()
    #expect(await iterator.next()?.tag == 1)
    #expect(await iterator.next() == nil)
    buffer.reopen()
    #expect(buffer.push([delivery(2)]))
    #expect(await iterator.next()?.tag == 2)
  }

  @Test("a cancelled reader ends, and the next one misses nothing")
  func cancelled() async {
    let buffer = DeliveryBuffer(prefetch: 4)
    _ = buffer.begin { _ in }
    let reader = Task { await buffer.take() }
    reader.cancel()
    #expect(await reader.value == nil)
    #expect(buffer.push([delivery(1)]))
    #expect(await buffer.take()?.tag == 1)
  }

  @Test("when the channel is gone nothing of it is read or settled any more")
  func invalidated() async {
    let buffer = DeliveryBuffer(prefetch: 4)
    _ = buffer.begin { _ in }
    #expect(buffer.push([delivery(1), delivery(2)]))
    #expect(buffer.settle(delivery(1), .acknowledge) == .sent)
    buffer.invalidate()
    #expect(buffer.unreadCount == 0)
    #expect(buffer.takeActions(early: true) == [])
    #expect(buffer.settle(delivery(2), .acknowledge) == .stale)
    #expect(buffer.begin { _ in } == 2)
    #expect(buffer.push([delivery(1, 2)]))
    #expect(buffer.settle(delivery(1), .acknowledge) == .stale)
    #expect(buffer.settle(delivery(1, 2), .acknowledge) == .sent)
    #expect(buffer.settle(delivery(1, 2), .acknowledge) == .stale)
    #expect(buffer.takeActions(early: true) == [.acknowledge(1, multiple: false)])
  }

  @Test("the connection is woken later for the first acknowledgement, and at once if enough has gathered")
  func wakes() {
    let buffer = DeliveryBuffer(prefetch: 12)
    let wakes = Wakes()
    _ = buffer.begin { wakes.note($0) }
    #expect(buffer.push((1...6).map { delivery($0) }))
    for tag in 1...2 as ClosedRange<UInt64> { #expect(buffer.settle(delivery(tag), .acknowledge) == .sent) }
    #expect(wakes.delays == [.milliseconds(10)])
    #expect(!buffer.isDue)
    #expect(buffer.settle(delivery(3), .acknowledge) == .sent)
    #expect(wakes.delays == [.milliseconds(10), .zero])
    #expect(buffer.isDue)
    #expect(buffer.takeActions(early: false) == [.acknowledge(3, multiple: true)])
    #expect(buffer.settle(delivery(4), .acknowledge) == .sent)
    #expect(wakes.delays == [.milliseconds(10), .zero, .milliseconds(10)])
  }

  @Test("a rejection is sent at once, and with it what has gathered")
  func rejectsAtOnce() {
    let buffer = DeliveryBuffer(prefetch: 100)
    let wakes = Wakes()
    _ = buffer.begin { wakes.note($0) }
    #expect(buffer.push((1...3).map { delivery($0) }))
    #expect(buffer.settle(delivery(1), .acknowledge) == .sent)
    #expect(buffer.settle(delivery(2), .reject(requeue: true)) == .sent)
    #expect(wakes.delays == [.milliseconds(10), .zero])
    #expect(
      buffer.takeActions(early: false) == [.reject(2, requeue: true), .acknowledge(1, multiple: false)])
  }

  @Test("the connection is woken again for an acknowledgement that it has kept")
  func wakesForKept() {
    let buffer = DeliveryBuffer(prefetch: 4)
    let wakes = Wakes()
    _ = buffer.begin { wakes.note($0) }
    #expect(buffer.push((1...2).map { delivery($0) }))
    #expect(buffer.settle(delivery(2), .acknowledge) == .sent)
    #expect(buffer.takeActions(early: false) == [])
    #expect(wakes.delays == [.zero, .milliseconds(10)])
    #expect(buffer.takeActions(early: false) == [.acknowledge(2, multiple: false)])
  }
}

private final class Wakes: Sendable {
  private let noted = Mutex<[Duration]>([])
  var delays: [Duration] { noted.withLock { $0 } }
  func note(_ delay: Duration) { noted.withLock { $0.append(delay) } }
}
