/// A session of its own by which a holder is known to live: while it is open, the holder's lock is held, and notifications arrive.
package protocol LedgerSession: Sendable {
  /// What happens, for one reader; ends when ``run()`` does.
  var events: any AsyncSequence<LedgerEvent, Never> { get }

  /// Whether a session is open on which the holder has signed on.
  var isOpen: Bool { get }

  /// Opens a session and signs the holder on, and again whenever the session is lost, until the task is cancelled.
  func run() async

  /// Ends the present session at once, without waiting for what is in flight; another follows.
  func replace()

  /// Says on the session that the holder lives.
  /// - Returns: not known if the ledger has no such holder any more: ``signOn()`` enters it again.
  func heartbeat(_ report: Holder.Report) async throws -> Holder.Standing

  /// Enters the holder again and takes its lock, on the open session.
  func signOn() async throws
}

/// What a session reports to its holder.
package enum LedgerEvent: Sendable, Hashable {
  /// Signed on: from now on notifications arrive; earlier ones may have been missed.
  case signedOn
  /// Reviews may have become due.
  case reviewsDue
  /// Something was put into the outbox.
  case cancelsDue
}
