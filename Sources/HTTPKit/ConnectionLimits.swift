/// What the connections of a listener may take: how many there are, and how long each may make this server wait.
///
/// A deadline counts from the beginning of what it bounds, never from the last byte: a sender of one byte every few seconds gains nothing.
package struct ConnectionLimits: Sendable {
  /// Connections at once. From `crowdedCount` on, a new one takes the place of another (`ConnectionTable`).
  package var connectionMax: Int
  /// From the connection, or the first byte of a further request, to the end of the head.
  package var head: Duration = .seconds(10)
  /// From the end of the head to the end of the body. Routes have shorter ones of their own; this one holds for all.
  package var body: Duration = .seconds(60)
  /// Between requests: longer than the 60 s for which usual balancers keep a connection.
  package var idle: Duration = .seconds(75)
  /// For a client that does not take what was written to it.
  package var write: Duration = .seconds(30)
  /// For the rest of a body that is not wanted, after the answer: so long that a client reads the answer before the connection ends.
  package var drain: Duration = .seconds(2)
  /// Of such a rest; what comes after it is not read.
  package var drainByteCountMax = 1 << 20
  /// All header fields of a request together, in bytes.
  package var headerByteCountMax = 32 * 1_024
  /// How many header fields a request may have.
  package var headerCountMax = 100

  /// - Parameter connectionMax: further ones wait in the kernel's backlog.
  package init(connectionMax: Int) { self.connectionMax = max(connectionMax, 1) }

  /// With more connections than this, a new one takes the place of another. The rest is for those that are accepted before the others
  /// are closed.
  var crowdedCount: Int { max(connectionMax - max(connectionMax / 16, 2), 1) }

  /// How long a connection may stay in a phase; nil if this server is at work.
  func time(in phase: ConnectionState.Phase) -> Duration? {
    switch phase {
    case .head: head
    case .body: body
    case .answer: nil
    case .idle: idle
    case .write: write
    case .drain: drain
    }
  }
}
