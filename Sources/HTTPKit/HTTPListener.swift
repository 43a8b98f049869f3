package import Hummingbird
internal import HummingbirdCore
package import Logging
internal import NIOCore
internal import NIOHTTP1

/// Serves on one address until it is asked to shut down; then it accepts nothing more and lets what runs end. What clients may take is
/// bounded (``ConnectionLimits``), the same for every port of Baton.
package struct HTTPListener<Responder: HTTPResponder>: Sendable
where Responder.Context: InitializableFromSource<ApplicationRequestContextSource> {
  private let host: String
  private let port: Int
  private let serverName: String?
  private let limits: ConnectionLimits
  private let onBound: @Sendable (Int) async -> Void
  private let responder: Responder
  private let logger: Logger

  /// How often deadlines are looked at.
  private static var interval: Duration { .milliseconds(500) }

  /// - Parameters:
  ///   - host: the address to listen on.
  ///   - port: 0 takes any free port.
  ///   - serverName: for the header `Server`.
  ///   - limits: how long a client may make the server wait.
  ///   - responder: answers the requests.
  ///   - logger: for what it reports.
  ///   - onBound: gets the real port, once, when the server can be reached.
  package init(
    host: String, port: Int, serverName: String? = nil, limits: ConnectionLimits, responder: Responder, logger: Logger,
    onBound: @escaping @Sendable (Int) async -> Void
  ) {
    self.host = host
    self.port = port
    self.serverName = serverName
    self.limits = limits
    self.onBound = onBound
    self.responder = responder
    self.logger = logger
  }

  /// - Throws: ``ListenError`` if the address cannot be had.
  package func run() async throws {
    let table = ConnectionTable<any Channel>(limits: limits)
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          while true {
            try await Task.sleep(for: Self.interval)
            for channel in table.takeOverdue() { channel.close(promise: nil) }
          }
        }
        try await application(table).run()
        group.cancelAll()
      }
    } catch let error as IOError {
      throw ListenError(host: host, port: port, reason: error.description)
    } catch let error as SocketAddressError.UnknownHost {
      throw ListenError(host: host, port: port, reason: error.description)
    } catch let error as SocketAddressError {
      throw ListenError(host: host, port: port, reason: "\(error)")
    }
  }

  private func application(_ table: ConnectionTable<any Channel>) -> some ApplicationProtocol {
    let decoder = HTTP1Channel.Configuration.DecoderConfiguration(
      maxHeaderFieldSize: limits.headerByteCountMax, maxHeaderListSize: limits.headerByteCountMax,
      maxHeaderFieldCount: limits.headerCountMax)
    let limits = limits
    return Application(
      responder: responder,
      server: HTTPServerBuilder { respond in
        GuardedChannel(
          base: HTTP1Channel(responder: respond, configuration: .init(httpDecoderConfiguration: decoder)), table: table,
          limits: limits)
      },
      configuration: ApplicationConfiguration(
        address: .hostname(host, port: port), serverName: serverName,
        availableConnectionsDelegate: .maximum(limits.connectionMax, logger: logger)),
      onServerRunning: { [onBound, port] channel in await onBound(channel.localAddress?.port ?? port) },
      logger: logger)
  }
}

/// A connection of Hummingbird's with a guard behind the decoder, where it sees the versions and all the fields of heads.
private struct GuardedChannel: ServerChildChannel {
  let base: HTTP1Channel
  let table: ConnectionTable<any Channel>
  let limits: ConnectionLimits

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
    base.setup(channel: channel, logger: logger).flatMapThrowing { value in
      let pipeline = channel.pipeline.syncOperations
      let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
      try pipeline.addHandler(ConnectionGuard(table: table, limits: limits), position: .after(decoder))
      return value
    }
  }

  func handle(value: HTTP1Channel.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}

/// The address to serve on cannot be had.
package struct ListenError: Error, Sendable, CustomStringConvertible {
  let host: String
  let port: Int
  let reason: String

  package var description: String {
    "cannot listen on \(host):\(port): \(reason); is the port in use, and the host an address of this machine?"
  }
}
