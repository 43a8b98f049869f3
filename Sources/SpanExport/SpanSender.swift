/// The outcome of one try to send spans.
package enum SendOutcome: Sendable, Equatable {
  /// - Parameter rejected: how many the collector did not want, and its reason.
  case accepted(rejected: Int, reason: String?)
  /// Worth another try.
  /// - Parameter wait: how long the collector wants to be left alone; nil if it does not say.
  case failed(String, retryAfter: Duration?)
  /// The collector will never take them.
  case refused(String)
}

/// The way to a collector.
package protocol SpanSender: Sendable {
  /// Sends the body of one request.
  func send(_ body: [UInt8]) async -> SendOutcome
  /// Ends all connections.
  func close() async
}
