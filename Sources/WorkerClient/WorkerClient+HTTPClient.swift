package import AsyncHTTPClient
internal import NIOCore

extension WorkerClient {
  /// An HTTP client as this one needs it; one serves all clients of a process. Shut it down before the process ends.
  /// - Parameters:
  ///   - maxConnections: to one worker; what exceeds them waits, against its own deadline.
  ///   - timeout: the deadline of one call, from which the client's own limits follow.
  package static func makeHTTPClient(maxConnections: Int, timeout: Duration) -> HTTPClient {
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    configuration.httpVersion = .http1Only
    configuration.timeout.connect = TimeAmount(timeout)
    configuration.timeout.read = TimeAmount(timeout)
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = max(maxConnections, 1)
    // Else a refused connection is tried again, quietly, until the connect timeout: the circuit must hear of it at once.
    configuration.connectionPool.retryConnectionEstablishment = false
    // Below the 5 s after which common servers close an idle connection: one that closes under a request makes the start
    // ambiguous, which costs a question and, at worst, a backoff.
    configuration.connectionPool.idleTimeout = .seconds(4)
    return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }
}
