internal import PostgresClient

/// An error of Postgres, in words for those who tell people what to do; ``LedgerFault`` has those for the dispatcher.
package protocol StoreFault: Error, CustomStringConvertible {
  /// What it is about.
  var cause: StoreFaultCause { get }
  /// Whether the same call may succeed later without anyone's help. It says nothing about whether a repetition is harmless.
  var isTransient: Bool { get }
  /// Whether the account lacks a right, to do this or to connect.
  var lacksRight: Bool { get }
}

/// What an error of Postgres is about.
package enum StoreFaultCause: Sendable, Hashable {
  /// The connection string, or what completes it, is wrong: no attempt with it can connect.
  case address
  /// No connection could be made, or it was lost or closed. What was asked may have been carried out, or not.
  case noConnection
  /// Postgres starts, stops, or takes no more sessions.
  case noSession
  /// The calling task was cancelled.
  case cancelled
  /// A concurrent transaction got in the way.
  case lostRace
  /// The statement was cancelled, or took too long.
  case timeout
  /// A table or a column is missing: there is no schema, or an older one.
  case schema
  /// The parameters cannot be sent.
  case parameter
  /// A value is not one that Postgres can store.
  case value
  /// A check, a key or a trigger refuses the values; the condition's name, as Postgres's documentation has it.
  case constraint(String)
  /// The answer is not what the statement promises.
  case answer
  /// All others.
  case other

  /// Whether it is about the values of one row, or a moment's bad luck with it: others of its batch may succeed without it.
  package var isAboutOneRow: Bool {
    switch self {
    case .parameter, .value, .constraint, .lostRace: true
    case .address, .noConnection, .noSession, .cancelled, .timeout, .schema, .answer, .other: false
    }
  }
}

extension PostgresError: StoreFault {
  package var cause: StoreFaultCause {
    switch kind {
    case .connectionFailed: isConnectionStringFault ? .address : .noConnection
    case .connectionLost, .closed: .noConnection
    case .cancelled: .cancelled
    case .encoding: .parameter
    case .decoding: .answer
    case .server(let state): cause(of: state)
    }
  }

  private func cause(of state: String) -> StoreFaultCause {
    switch state {
    case PostgresSQLState.serializationFailure, PostgresSQLState.deadlockDetected: .lostRace
    case PostgresSQLState.queryCanceled: .timeout
    case "42P01", "42703": .schema
    // Too many sessions; shutting down, crashed, starting up.
    case "53300": .noSession
    case _ where state.hasPrefix("57P0"): .noSession
    case _ where state.hasPrefix("22"): .value
    case _ where state.hasPrefix("23"): .constraint(conditionName ?? state)
    default: .other
    }
  }

  package var lacksRight: Bool { sqlState == PostgresSQLState.insufficientPrivilege }
}
