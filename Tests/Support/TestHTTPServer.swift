internal import NIOCore
package import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// Listens on a free port of 127.0.0.1, and answers each whole request as a closure says.
package final class TestHTTPServer: Sendable {
  /// What a request is answered with.
  package struct Answer: Sendable {
    package var status: Int
    package var headers: [String: String]
    /// As JSON; empty for none.
    package var body: String

    package init(_ status: Int, _ headers: [String: String] = [:], body: String = "") {
      (self.status, self.headers, self.body) = (status, headers, body)
    }
  }

  /// Takes the head and the body of a request; nil leaves it without an answer.
  package typealias Handle = @Sendable (HTTPRequestHead, [UInt8]) async -> Answer?

  private let channel: any Channel

  /// Listens when it returns.
  package init(_ handle: @escaping Handle) async throws {
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(TestHTTPHandler(handle))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
  }

  /// The base URL, without a path.
  package var url: String { "http://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

  /// Closes the port.
  package func stop() async { try? await channel.close().get() }
}

/// One connection of a ``TestHTTPServer``.
private final class TestHTTPHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let handle: TestHTTPServer.Handle
  private var head: HTTPRequestHead?
  private var body: [UInt8] = []

  init(_ handle: @escaping TestHTTPServer.Handle) { self.handle = handle }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
      body = []
    case .body(let part): body += part.readableBytesView
    case .end:
      guard let head else { return }
      let (handle, received, channel) = (handle, body, context.channel)
      // The next request of the connection waits for this answer: the pipeline's own handler ensures that.
      context.eventLoop.makeFutureWithTask { await handle(head, received) }
        .whenSuccess { answer in if let answer { Self.send(answer, on: channel) } }
    }
  }

  private static func send(_ answer: TestHTTPServer.Answer, on channel: any Channel) {
    var headers = HTTPHeaders(answer.headers.map { ($0.key, $0.value) })
    if answer.status != 204 { headers.add(name: "content-length", value: "\(answer.body.utf8.count)") }
    if !answer.body.isEmpty { headers.add(name: "content-type", value: "application/json") }
    let head = HTTPResponseHead(
      version: .http1_1, status: HTTPResponseStatus(statusCode: answer.status), headers: headers)
    channel.write(HTTPServerResponsePart.head(head), promise: nil)
    channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: answer.body))), promise: nil)
    channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
  }
}
