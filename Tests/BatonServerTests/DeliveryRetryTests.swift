import Resilience
import Reviews
import Support
import Testing

@testable import BatonServer

@Suite("When undelivered entries are tried again")
struct DeliveryRetryTests {
  private static let retry = DeliveryRetry(
    backoff: Backoff(base: .seconds(4), max: .seconds(60)), ageMax: .seconds(1_000), refusalAgeMax: .seconds(100))

  private func next(
    _ failure: DeliveryRetry.Failure, tries: Int = 3, age: Duration = .zero
  ) -> DeliveryRetry.Decision {
    Self.retry.next(tries: tries, age: age, after: failure)
  }

  @Test("what failed together does not come due together: half of each wait is certain, half is chance")
  func chance() {
    var generator = SeededGenerator(seed: 1)
    for (tries, ceiling) in [(1, 4), (2, 8), (3, 16), (9, 60)] {
      let delays = (0..<100).compactMap { _ in
        Self.retry.next(tries: tries, age: .zero, after: .later(), using: &generator).delay
      }
      #expect(delays.count == 100 && Set(delays).count > 50)
      #expect(delays.allSatisfy { $0 >= .seconds(ceiling) / 2 && $0 <= .seconds(ceiling) })
    }
  }

  @Test("a wait that the receiver asks for is kept, and what waits for the operator is tried every minute")
  func wanted() {
    #expect(next(.later(after: .seconds(7))).delay == .seconds(7))
    #expect(next(.blocked, tries: 20).delay == .seconds(60))
  }

  @Test("an outage is given up late, a refusal soon, and what waits for the operator never")
  func givenUp() {
    let all: [DeliveryRetry.Failure] = [.later(), .later(after: .seconds(7)), .refused, .blocked]
    #expect(all.map { next($0, age: .seconds(99)).isGivenUp } == [false, false, false, false])
    #expect(all.map { next($0, age: .seconds(100)).isGivenUp } == [false, false, true, false])
    #expect(all.map { next($0, age: .seconds(1_000)).isGivenUp } == [true, true, true, false])
  }

  @Test("people are told of the first failure and of the end, and of none between them")
  func news() {
    #expect(next(.later(), tries: 1).isNews && next(.blocked, tries: 1).isNews && next(.refused, tries: 1).isNews)
    #expect(!next(.later(), tries: 2).isNews && !next(.refused, tries: 9).isNews)
    #expect(next(.refused, tries: 9, age: .seconds(100)).isNews)
  }

  @Test("entries whose receiver is left alone come back after that, and not together")
  func leftAlone() {
    let end = ContinuousClock.now + .seconds(3_600)
    let delays = (0..<50).map { _ in Self.retry.delay(until: end) }
    #expect(delays.allSatisfy { $0 > .seconds(1_000) && $0 <= .seconds(3_604) })
    #expect(Set(delays).count > 25)
    #expect(Self.retry.delay(until: .now - .seconds(5)) <= .seconds(4))
  }

  @Test("only a host that does not answer is unavailable")
  func circuits() {
    let answers: [FeedbackAnswer] = [
      .delivered(checkRunID: nil), .later("pause", retryAfter: .seconds(9)), .blocked("no key"), .refused("404"),
    ]
    let circuit = Circuit(name: "host", breaker: CircuitBreaker(threshold: 1))
    for answer in answers {
      circuit.note(answer.failure?.reason, answer.failure?.message ?? "")
      #expect(circuit.state == .closed)
    }
    let down = FeedbackAnswer.later("no connection", retryAfter: nil)
    circuit.note(down.failure?.reason, down.failure?.message ?? "")
    #expect(circuit.state != .closed && circuit.reason == "no connection")
  }
}
