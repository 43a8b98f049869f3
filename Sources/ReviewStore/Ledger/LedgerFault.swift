package import PostgresClient

/// An error of a ledger: every implementation says what its caller can do about it.
package protocol LedgerFault: Error, CustomStringConvertible {
  var faultKind: LedgerFaultKind { get }
  /// Whether a batch may have failed because of one of its reviews: the same batch without a review tells it apart from what fails for all.
  var mayBeAboutOneRow: Bool { get }
}

extension LedgerFault {
  package var mayBeAboutOneRow: Bool { faultKind == .aboutRow }
}

/// What the caller of a ledger can do about an error.
package enum LedgerFaultKind: Sendable, Hashable, CaseIterable {
  /// The ledger does not answer: nothing else can be asked either. What was asked may have been carried out, or not.
  case unreachable
  /// The ledger answers, and cannot do it now: a deadlock, no space, a Postgres that stops or can only read. Nothing was changed; a repetition may
  /// succeed.
  case busy
  /// The ledger refuses this, and every repetition of it. Nothing else is affected.
  case refused
  /// As ``refused``, because of the values of one review: others of its batch go on without it.
  case aboutRow
  /// Another transaction has locked the review. Only this one waits.
  case rowLocked

  /// The kind of any error; one that is no ledger's fault counts as refused.
  package init(of error: any Error) { self = (error as? any LedgerFault)?.faultKind ?? .refused }

  /// Whether repeating the statement is useless.
  package var isRefusal: Bool { self == .refused || self == .aboutRow }
}

extension PostgresError: LedgerFault {
  package var faultKind: LedgerFaultKind {
    switch kind {
    case .connectionFailed, .connectionLost, .cancelled, .closed: .unreachable
    case .encoding, .decoding: .refused
    case .server(let state) where Self.isAboutRow(state): .aboutRow
    // A statement that took too long may have waited for a lock.
    case .server(let state) where PostgresSQLState.isTransient(state) || state == PostgresSQLState.queryCanceled: .busy
    case .server: .refused
    }
  }

  /// A trigger of the application may refuse a row with any code: the tables that it uses may have rights and policies of their own. It may also
  /// wait for a lock there, which looks like the wait of any statement for a locked table.
  package var mayBeAboutOneRow: Bool {
    guard case .server(let state) = kind else { return false }
    return state == PostgresSQLState.lockNotAvailable
      || !PostgresSQLState.isTransient(state) && state != PostgresSQLState.queryCanceled
  }

  /// Data exceptions, checks, a damaged page.
  private static func isAboutRow(_ state: String) -> Bool {
    state.hasPrefix("22") || state.hasPrefix("23") || ["XX001", "XX002", "54000"].contains(state)
  }
}

/// An error that one review alone has caused: the same statement works without it.
package struct RowFault: LedgerFault {
  package let cause: any LedgerFault

  package init(_ cause: any LedgerFault) { self.cause = cause }

  /// What is not refused waits for a lock.
  package var faultKind: LedgerFaultKind { cause.faultKind.isRefusal ? .aboutRow : .rowLocked }
  package var description: String { "\(cause)" }
}

extension UnknownValue: LedgerFault {
  package var faultKind: LedgerFaultKind { .aboutRow }
}

extension RowLocked: LedgerFault {
  package var faultKind: LedgerFaultKind { .rowLocked }
}

extension HolderLockTaken: LedgerFault {
  package var faultKind: LedgerFaultKind { .busy }
}

extension HolderRowLocked: LedgerFault {
  package var faultKind: LedgerFaultKind { .busy }
}
