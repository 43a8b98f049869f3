import FoundationEssentials
import Reviews
import Testing
import WorkerAPI

@testable import ReferenceWorker

private let id = UUID()

private func entry(_ status: StatusCallback.Status, attempt: Int = 1, session: String? = nil) -> Outbox.Entry {
  Outbox.Entry(
    key: RunKey(reviewID: id, attempt: attempt),
    callback: StatusCallback(status: status, attempt: attempt, sessionId: session), authToken: Secret("t"))
}

@Suite("Outbox of callbacks")
struct OutboxTests {
  @Test("callbacks leave in order, one at a time, and one sender serves a review")
  func order() {
    var outbox = Outbox()
    #expect(outbox.add(entry(.running)) == true)
    #expect(outbox.add(entry(.completed)) == false)
    #expect(outbox.next(id)?.callback.status == .running)
    #expect(outbox.next(id)?.callback.status == .running)
    outbox.settle(id)
    #expect(outbox.next(id)?.callback.status == .completed)
    outbox.settle(id)
    #expect(outbox.next(id) == nil)
    #expect(outbox.isEmpty)
    #expect(outbox.add(entry(.running, attempt: 2)) == true)
  }

  @Test("a newer running takes the place of one that has not gone out")
  func coalesces() {
    var outbox = Outbox()
    for session in ["a", "b", "c", "d"] { _ = outbox.add(entry(.running, session: session)) }
    #expect(outbox.next(id)?.callback.sessionId == "a")
    outbox.settle(id)
    #expect(outbox.next(id)?.callback.sessionId == "d")
    outbox.settle(id)
    #expect(outbox.next(id) == nil)
  }

  @Test("what an older attempt had to say is dropped, save what is on its way")
  func dropsOlder() {
    var outbox = Outbox()
    _ = outbox.add(entry(.running))
    _ = outbox.add(entry(.completed))
    _ = outbox.add(entry(.running, attempt: 2))
    outbox.settle(id)
    #expect(outbox.next(id)?.key.attempt == 2)
  }
}
