internal import Synchronization

/// What a test has set, and what was called: shared by the stand-in's calls.
final class FakeState: Sendable {
  struct Values: Sendable {
    var latency: ClosedRange<Duration> = .zero ... .zero
    var faults: [FakeFault] = []
    var callCounts: [FakeRoute: Int] = [:]
    /// How many answers were 304.
    var notModifiedCount = 0
    var tokenCount = 0
    /// GitLab's tokens by their text.
    var tokens: [String: FakeToken] = [:]
    /// How many calls of GitHub each caller has until the reset; nil for as many as it likes.
    var rateLimit: RateLimit?
    /// Fields that replace those of a pull request or merge request: by `repository/number`, each as JSON text.
    var fields: [String: [String: String]] = [:]
    /// Comments that stand instead of the recorded ones, each as JSON text.
    var comments: [CommentKey: [String]] = [:]
    /// What was written, in order.
    var feedback: [FakeFeedback] = []
    /// The attempts to deliver the app's webhooks, oldest first, and where they go.
    var deliveries: [FakeWebhook] = []
    var receiveHook: FakePlatform.ReceiveHook?
    /// By repository, or GitLab's number of the project, each as JSON text.
    var openPulls: [String: [String]] = [:]
    var permissions: [String: String] = [:]
    var suspended: Set<Int> = []
    /// New names by old ones.
    var renamed: [String: String] = [:]
  }

  struct RateLimit: Sendable {
    var count: Int
    /// Seconds since 1970.
    var resetAt: Int
    /// Calls so far, by the `Authorization` header.
    var used: [String: Int] = [:]
  }

  struct CommentKey: Hashable, Sendable {
    var route: FakeRoute
    var repository: String
    var number: Int
  }

  private let values = Mutex(Values())

  /// A caller's limit after a call, which is counted with `spending`, or before it; nil if there is none.
  func rateLimit(of authorization: String, spending: Bool) -> (count: Int, used: Int, resetAt: Int)? {
    values.withLock { values in
      if spending { values.rateLimit?.used[authorization, default: 0] += 1 }
      return values.rateLimit.map { ($0.count, $0.used[authorization] ?? 0, $0.resetAt) }
    }
  }

  /// An answer of 304: counted, and free.
  func notModified(_ authorization: String) {
    values.withLock { values in
      values.notModifiedCount += 1
      values.rateLimit?.used[authorization, default: 1] -= 1
    }
  }

  func withValues<Result: Sendable>(_ body: (inout sending Values) -> sending Result) -> Result {
    values.withLock { body(&$0) }
  }

  /// Counts a call and decides how long it takes and what goes wrong.
  func begin(_ route: FakeRoute, path: String) -> (latency: Duration, fault: FakeFault?) {
    values.withLock { values in
      values.callCounts[route, default: 0] += 1
      let latency = Self.random(in: values.latency)
      guard let index = values.faults.firstIndex(where: { $0.concerns(route, path: path) }) else {
        return (latency, nil)
      }
      let fault = values.faults[index]
      if let times = fault.times {
        values.faults[index].times = times - 1
        if times <= 1 { values.faults.remove(at: index) }
      }
      return (latency, fault)
    }
  }

  private static func random(in range: ClosedRange<Duration>) -> Duration {
    let spread = range.upperBound - range.lowerBound
    return range.lowerBound + spread * Double.random(in: 0...1)
  }
}

extension FakeState.Values {
  /// Numbers of tokens go up.
  mutating func nextTokenID() -> Int {
    tokenCount += 1
    return 10_000 + tokenCount
  }
}
