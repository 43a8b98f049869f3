/// Whether a channel refuses everything, so that a new one should be tried.
///
/// RabbitMQ keeps in each channel where the leader of a quorum queue is. If that node is lost before the first publish, the channel refuses every
/// message until the node is back, although the queue has another leader, which takes what a new channel publishes. A full queue refuses too: there a
/// new channel from time to time costs little.
struct RefusalWatch {
  /// How long a channel may refuse everything.
  static let refusalTimeMax: Duration = .seconds(1)

  private var refusedSince: ContinuousClock.Instant?

  /// Takes note of a confirm or a refusal.
  /// - Returns: whether the channel is to be replaced.
  mutating func settled(isAcknowledged: Bool, at now: ContinuousClock.Instant) -> Bool {
    guard !isAcknowledged else {
      refusedSince = nil
      return false
    }
    guard let since = refusedSince else {
      refusedSince = now
      return false
    }
    guard now - since >= Self.refusalTimeMax else { return false }
    refusedSince = nil
    return true
  }
}
