import Testing

@testable import Dispatching

@Suite("When an unavailable worker is asked")
struct WorkerProbeTests {
  private typealias Sight = WorkerProbe.Sight

  private func actions(_ count: Int, _ probe: inout WorkerProbe, _ sight: Sight) -> [WorkerProbe.Action?] {
    var actions: [WorkerProbe.Action?] = []
    for _ in 0..<count { actions.append(probe.tick(sight)) }
    return actions
  }

  @Test("a worker that answers is not asked")
  func well() {
    var probe = WorkerProbe()
    let seen = actions(60, &probe, Sight(isUnavailable: false))
    #expect(seen.allSatisfy { $0 == nil })
  }

  @Test(
    "a worker whose circuit admits a probe is asked if none comes in two seconds, or in twenty while reviews are in flight",
    arguments: [(false, 2), (true, 20)])
  func idle(hasReviews: Bool, seconds: Int) {
    var probe = WorkerProbe()
    let unavailable = Sight(isUnavailable: true, hasReviews: hasReviews)
    let seen = actions(seconds + 2, &probe, unavailable)
    #expect(seen == Array(repeating: nil, count: seconds) + [.probe, .probe])
    // An open circuit, or a call that succeeds, begins the time anew.
    for pause in [Sight(isUnavailable: true, isOpen: true), Sight()] {
      let after = actions(1, &probe, pause) + actions(seconds + 1, &probe, unavailable)
      #expect(after == Array(repeating: nil, count: seconds + 1) + [.probe])
    }
  }

  @Test("a worker that fails is asked each second while its circuit is open; one that wants to be left alone is not")
  func open() {
    var probe = WorkerProbe()
    let failing = actions(2, &probe, Sight(isUnavailable: true, isOpen: true, isOpenByFailures: true))
    #expect(failing == [.lookForReturn, .lookForReturn])
    let leftAlone = actions(2, &probe, Sight(isUnavailable: true, isOpen: true))
    #expect(leftAlone == [nil, nil])
  }

  @Test("an answer after none lets a review probe the worker, once; a worker that answers all along has not returned")
  func returns() {
    var probe = WorkerProbe()
    var mayProbe: [Bool] = []
    for hasAnswered in [true, true, false, false, true, true] { mayProbe.append(probe.asked(hasAnswered: hasAnswered)) }
    #expect(mayProbe == [false, false, false, false, true, false])
    // What was not answered in an outage that is over says nothing of the next one.
    _ = probe.asked(hasAnswered: false)
    _ = probe.tick(Sight())
    let isNext = probe.asked(hasAnswered: true)
    #expect(!isNext)
  }
}
