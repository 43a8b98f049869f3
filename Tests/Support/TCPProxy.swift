internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// One address in front of servers that may change, as a virtual IP or a load balancer is.
package final class TCPProxy: Sendable {
  /// Where it listens, on 127.0.0.1.
  package let port: Int
  private let server: any Channel
  private let state: Shared

  private final class Shared: Sendable {
    let upstream: Mutex<Int>
    let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

    init(_ port: Int) { upstream = Mutex(port) }
  }

  /// - Parameter port: of the server behind it, on 127.0.0.1.
  package init(to port: Int) async throws {
    let state = Shared(port)
    self.state = state
    server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { Self.join($0, state) }
      .childChannelOption(.autoRead, value: false)
      .bind(host: "127.0.0.1", port: 0).get()
    self.port = server.localAddress?.port ?? 0
  }

  /// Leads to another server from now on; the connections that are open are cut.
  package func redirect(to port: Int) {
    leadNew(to: port)
    cut()
  }

  /// Leads new connections to another server; those that are open stay.
  package func leadNew(to port: Int) { state.upstream.withLock { $0 = port } }

  package func stop() async {
    try? await server.close().get()
    cut()
  }

  private func cut() {
    for channel in state.channels.withLock({ Array($0.values) }) { channel.close(promise: nil) }
  }

  /// Connects a client with the server, or closes it if there is none.
  private static func join(_ client: any Channel, _ state: Shared) -> EventLoopFuture<Void> {
    remember(client, state)
    let port = state.upstream.withLock { $0 }
    let connected = ClientBootstrap(group: client.eventLoop)
      .channelOption(.autoRead, value: false)
      .connect(host: "127.0.0.1", port: port)
    connected.whenFailure { _ in client.close(promise: nil) }
    connected.whenSuccess { upstream in
      remember(upstream, state)
      client.eventLoop.execute {
        do {
          try upstream.pipeline.syncOperations.addHandler(Forward(to: client))
          try client.pipeline.syncOperations.addHandler(Forward(to: upstream))
        } catch {
          return client.close(promise: nil)
        }
        for channel in [client, upstream] { channel.setOption(.autoRead, value: true).whenFailure { _ in } }
      }
    }
    return client.eventLoop.makeSucceededVoidFuture()
  }

  private static func remember(_ channel: any Channel, _ state: Shared) {
    let id = ObjectIdentifier(channel)
    state.channels.withLock { $0[id] = channel }
    channel.closeFuture.whenComplete { _ in state.channels.withLock { $0[id] = nil } }
  }

  /// Writes what one side reads to the other, and ends it with this one.
  private final class Forward: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any Channel

    init(to other: any Channel) { self.other = other }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      other.writeAndFlush(unwrapInboundIn(data), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
  }
}
