import FoundationEssentials
import Primitives
import Testing

@testable import ReviewQueue

@Suite("Message ids")
struct MessageIDTests {
  @Test("no id is made twice, nor by two queues, and the beginnings differ as well")
  func unique() {
    let (ids, others) = (MessageIDs(), MessageIDs())
    let made = (0..<10_000).map { _ in ids.next() }
    #expect(made.allSatisfy { UUID(text: $0)?.lowercase == $0 })
    #expect(Set(made + (0..<10_000).map { _ in others.next() }).count == 20_000)
    #expect(Set(made.map { $0.prefix(8) }).count == made.count)
  }
}
