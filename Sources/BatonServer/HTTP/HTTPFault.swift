internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import PostgresClient
internal import ReviewStore

/// An answer that says no: its status, one sentence, and every single thing that is wrong with the request.
struct HTTPFault: Error, Sendable, Equatable {
  var status: HTTPResponse.Status
  var message: String
  var faults: [String]
  var headers: HTTPFields

  /// Of one answer: more of them help no reader, and an answer must not grow with what was sent.
  private static let faultCountMax = 50

  init(_ status: HTTPResponse.Status, _ message: String, faults: [String] = [], headers: HTTPFields = [:]) {
    self.status = status
    self.message = message
    self.faults = Array(faults.prefix(Self.faultCountMax))
    self.headers = headers
  }

  private struct Body: Encodable {
    var error: String
    var faults: [String]
  }

  /// `{"error": "…", "faults": […]}`.
  var response: Response {
    .json(status, Body(error: message, faults: faults), headers: headers)
  }

  /// How many seconds a caller should wait when Postgres is unreachable; the pool reconnects within five.
  static let retryAfterSeconds = 5

  /// Something that this server needs is unreachable for now.
  static func unavailable(_ message: String) -> HTTPFault {
    HTTPFault(.serviceUnavailable, message, headers: [.retryAfter: String(retryAfterSeconds)])
  }

  /// A body that is longer than the route takes.
  static func tooLarge(_ byteCountMax: Int) -> HTTPFault {
    HTTPFault(.contentTooLarge, "the body is larger than \(byteCountMax) bytes")
  }

  /// A request whose text cannot be read, or that breaks a rule of the contract's parameters.
  static func malformed(_ message: String, faults: [String] = []) -> HTTPFault {
    HTTPFault(.badRequest, message, faults: faults)
  }

  /// Too many wrong tokens from where this request comes from.
  static func tooMany(seconds: Int) -> HTTPFault {
    HTTPFault(
      .tooManyRequests, "too many refused log-ins from this address: try again in \(seconds) s",
      headers: [.retryAfter: String(seconds)])
  }

  static let unknownReview = HTTPFault(.notFound, "no review has this id")
}

extension HTTPFault {
  /// The fault that an error of a handler stands for. Postgres's own words stay in the log: they may quote rows.
  init(_ error: any Error) {
    switch error {
    case let fault as HTTPFault: self = fault
    case let error as PostgresError: self = Self.fault(of: error)
    case is RowLocked: self = .unavailable("another transaction has locked this review: try again")
    case let error as UnknownValue: self = HTTPFault(.internalServerError, error.description)
    case is CancellationError: self = .unavailable("this server is shutting down")
    default: self = HTTPFault(.internalServerError, "internal error: the server's log has the details")
    }
  }

  private static func fault(of error: PostgresError) -> HTTPFault {
    switch error.kind {
    case .connectionFailed, .connectionLost, .cancelled, .closed:
      return .unavailable("Postgres cannot be reached: try again")
    case .encoding: return .malformed("a value cannot be stored")
    case .decoding: return HTTPFault(.internalServerError, "internal error: the server's log has the details")
    case .server(let state):
      if error.isTransient || state == SQLState.queryCanceled { return .unavailable("Postgres is busy: try again") }
      // Undefined table or column: the schema is not there, or older than this program.
      if state == "42P01" || state == "42703" {
        return .unavailable("the database has no or an older Baton schema: run `baton migrate`")
      }
      if state.hasPrefix("22") { return .malformed("a value is not one that Postgres can store") }
      if state.hasPrefix("23") {
        return HTTPFault(.unprocessableContent, "the database refuses this: \(error.conditionName ?? state)")
      }
      return HTTPFault(.internalServerError, "internal error: the server's log has the details")
    }
  }
}

extension HTTPFault {
  /// Logs the error behind this fault if it is the server's and not the caller's: the answer has no details.
  func log(_ error: any Error, as message: Logger.Message, _ logger: Logger, _ metadata: Logger.Metadata) {
    guard status.kind == .serverError, !(error is HTTPFault) else { return }
    // PostgresError's description is safe to log; other errors are our own.
    logger.log(
      level: status == .serviceUnavailable ? .warning : .error, message,
      metadata: metadata.merging(["error": "\(error)"]) { $1 })
  }
}
