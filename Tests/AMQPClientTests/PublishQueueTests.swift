import PollExecutor
import Testing

@testable import AMQPClient

@Suite("Publish queue")
struct PublishQueueTests {
  private func queue(waitingMax: Int = 10) -> PublishQueue {
    var window = AMQPPublishWindow()
    window.waitingMax = waitingMax
    window.byteMax = 100
    window.bodyByteMax = 1_000
    return PublishQueue(window: window, executor: ThreadExecutor(name: "test"))
  }

  private func publication(_ id: String, byteCount: Int = 1) -> AMQPPublication {
    AMQPPublication(
      AMQPMessage(body: Array(repeating: 0, count: byteCount), messageID: id), exchange: "", routingKey: "k")
  }

  private let later = ContinuousClock.now + .seconds(600)

  @Test("what is not written until its deadline was not sent, and says why")
  func expires() async {
    let queue = queue()
    let outcome = await queue.publish(publication("a"), deadline: .now + .milliseconds(5))
    guard case .notSent(let reason) = outcome else { return #expect(outcome == .notSent("")) }
    #expect(reason.contains("no connection"))
    queue.attach {}
    queue.setBlocked("low on memory")
    let blocked = await queue.publish(publication("b"), deadline: .now + .milliseconds(5))
    guard case .notSent(let reason) = blocked else { return #expect(blocked == .notSent("")) }
    #expect(reason.contains("low on memory"))
    #expect(queue.take(byteMax: 100) == nil)
  }

  @Test("a short deadline behind a long one is kept")
  func shortBehindLong() async {
    let queue = queue()
    let long = Task { await queue.publish(publication("long"), deadline: later) }
    while !queue.hasWaiting { await Task.yield() }
    guard case .notSent = await queue.publish(publication("short"), deadline: .now + .milliseconds(5)) else {
      Issue.record("the short deadline was missed")
      return
    }
    queue.close(reason: "over")
    #expect(await long.value == .notSent("over"))
  }

  @Test("one message more than may wait is refused, and a batch only beyond the room")
  func bound() async {
    let queue = queue(waitingMax: 2)
    let batch = Task { await queue.publish((1...3).map { publication("\($0)") }, deadline: later) }
    while !queue.hasWaiting { await Task.yield() }
    let refused = await queue.publish(publication("x"), deadline: later)
    guard case .notSent = refused else { return #expect(refused == .notSent("")) }
    queue.take(byteMax: 100)?.resume(.confirmed)
    queue.take(byteMax: 100)?.resume(.nacked)
    let outcomes = await batch.value
    #expect(outcomes.prefix(2) == [.confirmed, .nacked])
    guard case .notSent = outcomes.last else { return #expect(outcomes.last == .notSent("")) }
  }

  @Test("the oldest waits until its body fits, and nothing overtakes it")
  func bytes() async {
    let queue = queue()
    let batch = Task {
      await queue.publish([publication("a", byteCount: 90), publication("b")], deadline: later)
    }
    while !queue.hasWaiting { await Task.yield() }
    #expect(queue.take(byteMax: 89) == nil)
    #expect(queue.isAwaited)
    let first = queue.take(byteMax: 90)
    #expect(first?.publication.message.messageID == "a")
    first?.resume(.confirmed)
    queue.close(reason: "over")
    #expect(await batch.value == [.confirmed, .notSent("over")])
  }

  @Test("a body larger than the window goes alone, when all of the window is free")
  func alone() async {
    let queue = queue()
    let large = Task { await queue.publish(publication("a", byteCount: 101), deadline: later) }
    while !queue.hasWaiting { await Task.yield() }
    #expect(queue.take(byteMax: 99) == nil)
    queue.take(byteMax: 100)?.resume(.confirmed)
    #expect(await large.value == .confirmed)
  }

  @Test("a body larger than a message may be is refused at once, and an empty batch has no outcomes")
  func tooLarge() async {
    let queue = queue()
    guard case .notSent(let reason) = await queue.publish(publication("a", byteCount: 1_001), deadline: later) else {
      Issue.record("it was not refused")
      return
    }
    #expect(reason.contains("1001 bytes"))
    #expect(await queue.publish([], deadline: later) == [])
  }
}
