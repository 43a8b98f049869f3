package import HTTPTypes
package import Hummingbird
package import Logging

/// An answer that says no: its status, one sentence, and every single thing that is wrong with the request.
package struct HTTPFault: Error, Sendable, Equatable {
  package var status: HTTPResponse.Status
  package var message: String
  package var faults: [String]
  package var headers: HTTPFields

  /// Of one answer: more of them help no reader, and an answer must not grow with what was sent.
  private static let faultCountMax = 50

  package init(_ status: HTTPResponse.Status, _ message: String, faults: [String] = [], headers: HTTPFields = [:]) {
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
  package var response: Response {
    .json(status, Body(error: message, faults: faults), headers: headers)
  }

  /// How many seconds a caller should wait if Postgres cannot be reached; the pool reconnects within five.
  package static let retryAfterSeconds = 5

  /// Something that this server needs cannot be reached now.
  package static func unavailable(_ message: String) -> HTTPFault {
    HTTPFault(.serviceUnavailable, message, headers: [.retryAfter: String(retryAfterSeconds)])
  }

  /// A body that is longer than the route takes.
  package static func tooLarge(_ byteCountMax: Int) -> HTTPFault {
    HTTPFault(.contentTooLarge, "the body is larger than \(byteCountMax) bytes")
  }

  /// A caller who shows no token, or a wrong one.
  package static func unauthorized(_ message: String) -> HTTPFault {
    HTTPFault(.unauthorized, message, headers: [.wwwAuthenticate: "Bearer"])
  }

  /// A request whose text cannot be read, or that breaks a rule of the contract's parameters.
  package static func malformed(_ message: String, faults: [String] = []) -> HTTPFault {
    HTTPFault(.badRequest, message, faults: faults)
  }
}

extension HTTPFault {
  /// The fault that an error of a handler stands for. Words of errors that are not meant for callers stay in the log.
  /// - Parameters:
  ///   - error: of any kind.
  ///   - known: the faults that errors of the server's own modules stand for; nil for all others.
  package init(_ error: any Error, known: (any Error) -> HTTPFault?) {
    switch error {
    case let fault as HTTPFault: self = fault
    case is CancellationError: self = .unavailable("this server is shutting down")
    default: self = known(error) ?? .internalError
    }
  }

  /// 500, without the reason: the log has it.
  package static let internalError = HTTPFault(
    .internalServerError, "internal error: the server's log has the details")
}

extension HTTPFault {
  /// Logs the error that this fault stands for, if it is ours and not the caller's: the answer says little of it.
  package func log(_ error: any Error, as message: Logger.Message, _ logger: Logger, _ metadata: Logger.Metadata) {
    guard status.kind == .serverError, !(error is HTTPFault) else { return }
    // The description of an error of Postgres is safe to log; other errors are our own.
    logger.log(
      level: status == .serviceUnavailable ? .warning : .error, message,
      metadata: metadata.merging(["error": "\(error)"]) { $1 })
  }
}
