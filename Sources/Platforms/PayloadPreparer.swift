package import Reviews

/// Turns a leased review into the body that the worker is started with.
package protocol PayloadPreparer: Sendable {
  /// Collects what the worker needs and encodes it.
  ///
  /// Nothing is changed anywhere: a prepared payload that is never sent has cost only the calls. Cancellation ends the
  /// calls in flight and shows as `.transient`.
  func prepare(_ review: LeasedReview) async throws(PreparationError) -> PreparedPayload

  /// The names of the circuits that preparing this review depends on: the hosts that it calls.
  func targets(of review: LeasedReview) -> [String]
}

/// A payload that is ready to be sent.
package struct PreparedPayload: Sendable, Equatable {
  /// The encoded start request. It holds tokens and the prompt: not for a log.
  package var body: [UInt8]
  /// The pull request's newest commit while preparing, which may be newer than the review's; nil if not asked for.
  package var headSha: String?
  /// The agent version that the owner asks for.
  package var agentVersion: String?

  package init(body: [UInt8], headSha: String? = nil, agentVersion: String? = nil) {
    self.body = body
    self.headSha = headSha
    self.agentVersion = agentVersion
  }
}
