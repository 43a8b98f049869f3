import Testing

@testable import BatonServer

@Suite("Bounds of a pass of catch-up")
struct CatchUpBudgetTests {
  @Test("a host is left alone after three looks without an answer in turn; an answer in between counts anew")
  func hosts() {
    var hosts = UnansweringHosts()
    for isUnanswered in [true, true, false, true, true] { hosts.note("github", isUnanswered: isUnanswered) }
    hosts.note("https://git.example.com", isUnanswered: true)
    #expect(hosts.left == [])
    hosts.note("github", isUnanswered: true)
    #expect(hosts.left == ["github"])
  }

  @Test("a look makes no more requests than it may, and after its time only its first one")
  func budget() {
    var bounded = RequestBudget(left: 2, until: .now + .seconds(3_600))
    #expect([bounded.take(), bounded.take(), bounded.take()] == [true, true, false])
    #expect(bounded.used == 2)
    var late = RequestBudget(left: 2, until: .now)
    #expect([late.take(), late.take()] == [true, false])
  }
}
