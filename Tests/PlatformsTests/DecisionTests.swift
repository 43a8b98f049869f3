import Logging
import Primitives
import Resilience
import Reviews
import Testing

@testable import Platforms

@Suite("Configuration cache")
struct ConfigurationCacheTests {
  private let owner = Owner(type: .org, id: "acme")

  @Test("no configuration and a faulty one fail for good, with all faults named")
  func faults() throws {
    let cache = ConfigurationCache()
    let missing = #expect(throws: PreparationError.self) { try cache.configuration(nil, of: owner) }
    guard case .permanent(.configMissing, _)? = missing else {
      Issue.record("\(String(describing: missing))")
      return
    }
    let text = #"{"review_style":"kind","max_review_time_minutes":99}"#
    for _ in 0..<2 {
      let invalid = #expect(throws: PreparationError.self) { try cache.configuration(text, of: owner) }
      guard case .permanent(.configInvalid, let message)? = invalid else {
        Issue.record("\(String(describing: invalid))")
        return
      }
      #expect(message.contains("review_style") && message.contains("max_review_time_minutes"))
    }
  }

  @Test("one that is too large to be read is invalid, and its size is named")
  func tooLarge() {
    let error = #expect(throws: PreparationError.self) {
      try ConfigurationCache().configuration(nil, byteCount: 6_000_027, of: owner)
    }
    guard case .permanent(.configInvalid, let message)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(message.contains("6000027 bytes"))
  }

  @Test("it never holds more than its capacity, and still answers correctly")
  func bounded() throws {
    let cache = ConfigurationCache(capacity: 4)
    for minutes in 5...30 {
      let configuration = try cache.configuration(#"{"max_review_time_minutes":\#(minutes)}"#, of: owner)
      #expect(configuration.maxReviewTimeMinutes == minutes)
      #expect(cache.count <= 4)
    }
  }
}

@Suite("Target circuit")
struct TargetCircuitTests {
  private let review = Samples.review()

  private func target(threshold: Int = 3) -> TargetCircuit {
    TargetCircuit(
      circuit: Circuit(name: "api.github.com", breaker: CircuitBreaker(threshold: threshold)), platform: "GitHub",
      logger: Logger(label: "test"))
  }

  @Test(
    "an answer that decides against the review is permanent, with its code",
    arguments: [
      (APIFault.missing, ErrorCode.pullRequestMissing), (.unauthorized(message: "no"), .platformRefused),
      (.refused(message: "no"), .platformRefused),
    ])
  func permanent(_ fault: APIFault, _ code: ErrorCode) {
    guard case .permanent(code, let message) = target().judge(.call(fault), of: review) else {
      Issue.record("not permanent")
      return
    }
    #expect(message.contains("acme/shop#17"))
  }

  @Test("a rate limit waits as long as it says, and does not open the circuit")
  func rateLimit() {
    let target = target(threshold: 1)
    let error = target.judge(.call(.rateLimited(retryAfter: .seconds(42))), of: review)
    #expect(error.waits(for: .seconds(42)), "\(error)")
    #expect(target.circuit.state == .closed)
  }

  @Test("a host that fails is an outage from the first time on; once its circuit is open, so is every later review")
  func failing() {
    let target = target(threshold: 3)
    for round in 1...3 {
      let error = target.judge(.call(.failing(message: "it answered 503")), of: review)
      guard case .outage("api.github.com", _, let delay) = error else {
        Issue.record("round \(round): \(error)")
        continue
      }
      #expect((delay != nil) == (round == 3))
    }
    let refused = #expect(throws: PreparationError.self) { try target.admit() }
    guard case .outage("api.github.com", _, .some)? = refused else {
      Issue.record("\(String(describing: refused))")
      return
    }
  }

  @Test("one pull request that cannot be served counts against its review, and opens no circuit")
  func alone() {
    let target = target(threshold: 1)
    let failure = GitHubSource.failing(review, "it answered 502", othersAnswered: [false, true])
    #expect(
      target.judge(failure, of: review)
        == .transient(message: "GitHub could not serve acme/shop#17: it answered 502.", retryAfter: nil))
    #expect(target.circuit.state == .closed)
    guard case .call(.failing, _) = GitHubSource.failing(review, "it answered 502", othersAnswered: [false, false])
    else {
      Issue.record("the host is unavailable")
      return
    }
  }

  @Test("an unreachable host is an outage from the first time on")
  func unreachable() {
    guard case .outage("api.github.com", _, nil) = target().judge(.call(.unreachable(message: "refused")), of: review)
    else {
      Issue.record("no outage")
      return
    }
  }

  @Test("an answer in between starts the count anew; a cancelled call changes nothing")
  func reset() {
    let target = target(threshold: 2)
    _ = target.judge(.call(.failing(message: "x")), of: review)
    _ = target.judge(.call(.missing), of: review)
    _ = target.judge(.call(.failing(message: "x")), of: review)
    _ = target.judge(.call(.cancelled), of: review)
    #expect(target.circuit.state == .closed)
    _ = target.judge(.call(.failing(message: "x")), of: review)
    #expect(target.circuit.state != .closed)
  }

  @Test("a refused installation token says what the operator or owner can do")
  func installation() {
    func failure(_ fault: APIFault, isAppProven: Bool = true) -> CollectFailure {
      InstallationFault.failure(fault, installation: "7", isAppProven: isAppProven)
    }
    func code(_ fault: APIFault) -> ErrorCode? {
      if case .permanent(let code, _) = failure(fault) { code } else { nil }
    }
    #expect(code(.missing) == .integrationRevoked)
    guard case .wait = failure(.missing, isAppProven: false) else {
      Issue.record("another app knows none of the installations")
      return
    }
    #expect(code(.refused(message: "it answered 403: This installation has been suspended")) == .integrationRevoked)
    #expect(code(.refused(message: "it answered 422: no")) == .platformRefused)
    guard case .wait = failure(.unauthorized(message: "no")) else {
      Issue.record("the app's own key is not the review's fault")
      return
    }
    let outage = failure(.unreachable(message: "x"))
    guard case .call(.unreachable, _) = outage else {
      Issue.record("\(outage)")
      return
    }
  }
}
