internal import AsyncHTTPClient
internal import HTTPTrust
internal import NIOCore
internal import NIOHTTP1

extension APIFault {
  /// Sorts an error of the HTTP client: whether the host could be reached at all decides.
  ///
  /// Everything that is not known as an interrupted exchange counts as unreachable: name look-up, TLS and connect errors
  /// come as many types (of NIO, NIOSSL and the client), interrupted exchanges as these few.
  init(transport error: any Error) {
    switch error {
    case is ResponseAccumulator.ResponseTooBigError:
      self = .malformed(message: "its answer is larger than \(APIClient.answerByteCountMax) bytes")
    case is CancellationError: self = .failing(message: "the exchange was interrupted")
    case is HTTPParserError: self = .failing(message: "its answer is not HTTP")
    case let error as IOError where Self.breaksExchange.contains(error.errnoCode):
      self = .failing(message: "the connection was lost")
    case let error as HTTPClientError where Self.interruptions.contains(error):
      self = .failing(message: error.shortDescription)
    case let error as HTTPClientError: self = .unreachable(message: error.shortDescription)
    default: self = .unreachable(message: ConnectionFault.text(error) ?? "no connection, \(type(of: error))")
    }
  }

  /// Linux's EPIPE and ECONNRESET.
  private static let breaksExchange: Set<CInt> = [32, 104]

  private static let interruptions: [HTTPClientError] = [
    .readTimeout, .writeTimeout, .remoteConnectionClosed, .cancelled, .requestStreamCancelled, .deadlineExceeded,
    .getConnectionFromPoolTimeout,
  ]
}
