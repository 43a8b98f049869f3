internal import HTTPKit
internal import HTTPTypes
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
    } catch let fault as any StoreFault where fault.lacksRight {
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

extension HTTPFault {
  /// The fault that an error of a handler stands for; see `HTTPFault.init(_:known:)`.
  init(_ error: any Error) { self.init(error, known: { HTTPFault(ofStore: $0) }) }

  /// The fault that an error of the store stands for; nil for all others. Postgres's own words stay in the log: they may quote rows.
  init?(ofStore error: any Error) {
    switch error {
    case is RowLocked: self = .unavailable("another transaction has locked this review: try again")
    case let value as UnknownValue: self.init(.internalServerError, value.description)
    case let fault as any StoreFault: self.init(ofPostgres: fault)
    default: return nil
    }
  }

  private init(ofPostgres fault: any StoreFault) {
    switch fault.cause {
    case .address, .noConnection, .cancelled: self = .unavailable("Postgres cannot be reached: try again")
    case .parameter: self = .malformed("a value cannot be stored")
    case .answer: self = .internalError
    case .timeout: self = .unavailable("Postgres is busy: try again")
    case _ where fault.isTransient: self = .unavailable("Postgres is busy: try again")
    case .schema: self = .unavailable("the database has no or an older Baton schema: run `baton migrate`")
    case .value: self = .malformed("a value is not one that Postgres can store")
    case .constraint(let name): self.init(.unprocessableContent, "the database refuses this: \(name)")
    case .noSession, .lostRace, .other: self = .internalError
    }
  }
}
