package import HTTPKit
internal import HTTPTypes
internal import PostgresClient
internal import Primitives
internal import ReviewStore
internal import Reviews

extension HTTPFault {
  static let unknownReview = HTTPFault(.notFound, "no review has this id")

  /// Runs a change that an account with fewer rights may not make.
  /// - Throws: `HTTPFault` 403 that names the role that is missing.
  static func namingRights<Value>(_ change: () async throws -> Value) async throws -> Value {
    do {
      return try await change()
    } catch let error as PostgresError where error.sqlState == PostgresSQLState.insufficientPrivilege {
      throw HTTPFault(
        .forbidden,
        "this server's database account may not change this: grant it the role baton_operator too, or use the command line (deploy/roles.md)"
      )
    }
  }

  /// What stands in a path in place of a review's id.
  static let noID = HTTPFault(
    .notFound,
    "no review has this id: expected a UUID, as in 0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11, or its first four digits or more"
  )

  /// Several ids begin as the path's.
  static func ambiguous(_ prefix: IDPrefix, _ candidates: [Review]) -> HTTPFault {
    HTTPFault(
      .conflict, "\(prefix) is the start of several ids: give more digits",
      faults: candidates.map { "\($0.id.lowercase): \($0.repoFullName) \($0.prNumber), \($0.status.rawValue)" })
  }
}

extension RowLocked: HTTPFaultConvertible {
  package var httpFault: HTTPFault { .unavailable("another transaction has locked this review: try again") }
}

extension UnknownValue: HTTPFaultConvertible {
  package var httpFault: HTTPFault { HTTPFault(.internalServerError, description) }
}

/// Postgres's own words stay in the log: they may quote rows.
extension PostgresError: HTTPFaultConvertible {
  package var httpFault: HTTPFault {
    switch kind {
    case .connectionFailed, .connectionLost, .cancelled, .closed: .unavailable("Postgres cannot be reached: try again")
    case .encoding: .malformed("a value cannot be stored")
    case .decoding: .internalError
    case .server(let state): serverFault(state)
    }
  }

  private func serverFault(_ state: String) -> HTTPFault {
    if isTransient || state == PostgresSQLState.queryCanceled { return .unavailable("Postgres is busy: try again") }
    // Undefined table or column: the schema is not there, or older than this program.
    if state == "42P01" || state == "42703" {
      return .unavailable("the database has no or an older Baton schema: run `baton migrate`")
    }
    if state.hasPrefix("22") { return .malformed("a value is not one that Postgres can store") }
    if state.hasPrefix("23") {
      return HTTPFault(.unprocessableContent, "the database refuses this: \(conditionName ?? state)")
    }
    return .internalError
  }
}
