internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import NIOCore

/// Serves routes on one address until it is told to shut down; then it accepts nothing more and lets what runs end.
struct HTTPListener: Sendable {
  let host: String
  /// 0 takes any free port.
  let port: Int
  /// Connections at once; further ones wait in the kernel's backlog.
  let connectionMax: Int
  let onBound: @Sendable (Int) async -> Void
  let responder: RouteResponder
  let logger: Logger

  /// A connection on which nothing arrives is closed after this; longer than the 60 s that usual balancers keep one.
  static let idleTimeout = TimeAmount.seconds(75)
  /// All header fields of a request together, in bytes.
  static let headerByteCountMax = 32 * 1_024

  /// - Throws: ``ListenError`` where the address cannot be had.
  func run() async throws {
    let decoder = HTTP1Channel.Configuration.DecoderConfiguration(
      maxHeaderFieldSize: Self.headerByteCountMax, maxHeaderListSize: Self.headerByteCountMax, maxHeaderFieldCount: 100)
    let application = Application(
      responder: responder,
      server: .http1(configuration: .init(idleTimeout: Self.idleTimeout, httpDecoderConfiguration: decoder)),
      configuration: ApplicationConfiguration(
        address: .hostname(host, port: port),
        availableConnectionsDelegate: .maximum(connectionMax, logger: logger)),
      onServerRunning: { [onBound, port] channel in await onBound(channel.localAddress?.port ?? port) },
      logger: logger)
    do {
      try await application.run()
    } catch let error as IOError {
      throw ListenError(host: host, port: port, reason: error.description)
    } catch let error as SocketAddressError.UnknownHost {
      throw ListenError(host: host, port: port, reason: error.description)
    } catch let error as SocketAddressError {
      throw ListenError(host: host, port: port, reason: "\(error)")
    }
  }
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
