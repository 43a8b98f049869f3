/// Decides when an unavailable worker is asked whether it answers again: what was seen comes in, what to do comes out. It knows no server, no task
/// and no clock; it is asked once a second.
struct WorkerProbe: Sendable, Equatable {
  /// What was seen at a look.
  struct Sight: Sendable {
    /// Whether the worker was unavailable and no call has succeeded since, and this process is not shutting down.
    var isUnavailable = false
    /// Whether its circuit refuses calls now.
    var isOpen = false
    /// Whether it does because of failures, and not because the worker has asked to be left alone.
    var isOpenByFailures = false
    /// Whether any review is in flight, which may come to be the probe.
    var hasReviews = false
  }

  enum Action: Sendable, Equatable {
    /// Ask a question that changes nothing, and call ``asked(hasAnswered:)``.
    case lookForReturn
    /// Ask as the probe, if the circuit admits one: an answer closes it.
    case probe
  }

  /// For so long a review that waits in the queue has time to come and be the probe itself, in seconds.
  static let idleSeconds = 2
  /// For so long the reviews in flight have time to be prepared, of which one is the probe, in seconds.
  static let preparationSeconds = 20

  /// Since when a review may probe the worker and none has come, in seconds.
  private(set) var idleTime = 0
  /// Whether a question was not answered since the outage began, or since a review was let probe the worker early. One that answers questions
  /// all along, but no start, has not returned.
  private(set) var hasFailed = false

  /// A second has passed.
  mutating func tick(_ sight: Sight) -> Action? {
    guard sight.isUnavailable else {
      self = WorkerProbe()
      return nil
    }
    guard !sight.isOpen else {
      idleTime = 0
      return sight.isOpenByFailures ? .lookForReturn : nil
    }
    idleTime += 1
    return idleTime > (sight.hasReviews ? Self.preparationSeconds : Self.idleSeconds) ? .probe : nil
  }

  /// A question of ``Action/lookForReturn`` was asked.
  /// - Returns: whether a review may probe the worker at once, however long the circuit would stay open.
  mutating func asked(hasAnswered: Bool) -> Bool {
    defer { hasFailed = !hasAnswered }
    return hasAnswered && hasFailed
  }
}
