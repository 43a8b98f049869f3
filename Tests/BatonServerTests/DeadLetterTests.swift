import AMQPClient
import Primitives
import ReviewQueue
import Testing

@testable import BatonServer

@Suite("Dead letters")
struct DeadLetterTests {
  private static let now = Timestamp(microseconds: 1_795_000_000_000_000)

  @Test("dead letters stand in the order of their deaths, those without a time first, whatever order the queue has")
  func order() {
    let times: [Int64?] = [30, nil, 10, 20, nil]
    let deliveries = times.enumerated().map { AMQPDelivery(body: [], messageID: "\($0.offset)", timestamp: $0.element) }
    #expect(DeadLetter.letters(deliveries).map(\.messageId) == ["1", "4", "2", "3", "0"])
  }

  @Test("a dead letter's time may be any number that was published: one that no calendar has is shown as none")
  func deathTimes() {
    for seconds in [Int64.max, .min, -1, 1_700_000_000_000_000] {
      #expect(DeadLetter(AMQPDelivery(body: [], timestamp: seconds)).diedAt == nil)
      let deaths = AMQPValue.array([.table(["time": .timestamp(seconds)])])
      #expect(DeadLetter(AMQPDelivery(body: [], headers: ["x-death": deaths])).diedAt == nil)
    }
    #expect(DeadLetter(AMQPDelivery(body: [], timestamp: 1_700_000_000)).diedAt?.microseconds == 1_700_000_000_000_000)
  }

  @Test(
    "the dead letters are read again only if there are others, rarely, and not until the broker drops them"
  )
  func looks() {
    func look(_ shown: Int, of count: Int, returns: Int = 0) -> DeadLetterLook {
      let delivery = AMQPDelivery(body: [], headers: ["x-delivery-count": .int(Int64(returns))])
      return DeadLetterLook(
        letters: Array(repeating: DeadLetter(delivery), count: shown), at: Self.now, count: count)
    }
    let (soon, late) = (Duration.seconds(59), Duration.seconds(61))
    #expect(look(3, of: 3).isKept(count: 3, age: .seconds(86_400)))
    #expect(look(3, of: 3).isKept(count: 4, age: soon))
    #expect(!look(3, of: 3).isKept(count: 4, age: late))
    #expect(!look(3, of: 3).isKept(count: 2, age: .zero))
    #expect(!look(20, of: 90).isKept(count: 80, age: late))
    #expect(look(0, of: 0).isKept(count: 0, age: late) && !look(0, of: 0).isKept(count: 1, age: .zero))
    #expect(look(3, of: 3, returns: 10).isKept(count: 4, age: late))
    #expect(!look(3, of: 3, returns: 10).isKept(count: 0, age: .zero))
  }
}
