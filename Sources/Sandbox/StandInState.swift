internal import Synchronization

/// What a test has set, and what was called: shared by the stand-in's calls.
final class StandInState: Sendable {
  struct Values: Sendable {
    var latency: ClosedRange<Duration> = .zero ... .zero
    var faults: [StandInFault] = []
    var callCounts: [StandInRoute: Int] = [:]
    var tokenCount = 0
    /// Fields that replace those of a pull request or merge request: by `repository/number`, each as JSON text.
    var fields: [String: [String: String]] = [:]
    /// Comments that stand instead of the recorded ones, each as JSON text.
    var comments: [CommentKey: [String]] = [:]
    /// What was written, in order.
    var feedback: [StandInFeedback] = []
  }

  struct CommentKey: Hashable, Sendable {
    var route: StandInRoute
    var repository: String
    var number: Int
  }

  private let values = Mutex(Values())

  func withValues<Result: Sendable>(_ body: (inout sending Values) -> sending Result) -> Result {
    values.withLock { body(&$0) }
  }

  /// Counts a call and gives what shall happen to it: how long it takes, and what goes wrong.
  func begin(_ route: StandInRoute, path: String) -> (latency: Duration, fault: StandInFault?) {
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
