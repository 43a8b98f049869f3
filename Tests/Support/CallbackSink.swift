package import FoundationEssentials
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization
package import WorkerAPI

/// Takes a worker's status callbacks in Baton's place, says yes, and keeps a list: Baton never hears of them.
package final class CallbackSink: Sendable {
  /// One callback that was received.
  package struct Received: Sendable {
    package var reviewID: UUID
    package var callback: StatusCallback
  }

  private struct State {
    var received: [Received] = []
    var refusing = false
  }

  private let state = Mutex(State())
  private let server = Mutex<(any Channel)?>(nil)

  /// Listens on a free port of 127.0.0.1 when it returns.
  package init() async throws {
    let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { [weak self] channel in
        channel.eventLoop.makeCompletedFuture {
          guard let self else { return }
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(CallbackSinkHandler(sink: self))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    server.withLock { $0 = channel }
  }

  /// The base URL for the worker.
  package var url: String { "http://127.0.0.1:\(server.withLock { $0?.localAddress?.port } ?? 0)" }

  /// Closes the port.
  package func stop() async { try? await server.withLock { $0 }?.close().get() }

  /// Whether callbacks are answered with 503.
  package var isRefusing: Bool {
    get { state.withLock { $0.refusing } }
    set { state.withLock { $0.refusing = newValue } }
  }

  /// What was accepted, in order.
  package var received: [Received] { state.withLock { $0.received } }

  /// What was accepted about one review, in order.
  package func statuses(of reviewID: UUID) -> [StatusCallback.Status] {
    received.filter { $0.reviewID == reviewID }.map(\.callback.status)
  }

  /// - Returns: the status to answer with.
  fileprivate func take(_ path: String, _ body: [UInt8]) -> Int {
    guard let id = path.split(separator: "/").last.flatMap({ UUID(uuidString: String($0)) }),
      let callback = try? JSONDecoder().decode(StatusCallback.self, from: Data(body))
    else { return 400 }
    return state.withLock { state in
      guard !state.refusing else { return 503 }
      state.received.append(Received(reviewID: id, callback: callback))
      return 200
    }
  }
}

/// One connection of a ``CallbackSink``.
private final class CallbackSinkHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let sink: CallbackSink
  private var path = ""
  private var body: [UInt8] = []

  init(sink: CallbackSink) { self.sink = sink }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      path = head.uri
      body = []
    case .body(let part): body += part.readableBytesView
    case .end:
      let text = #"{"success":true}"#
      let head = HTTPResponseHead(
        version: .http1_1, status: HTTPResponseStatus(statusCode: sink.take(path, body)),
        headers: ["content-type": "application/json", "content-length": "\(text.utf8.count)"])
      context.write(wrapOutboundOut(.head(head)), promise: nil)
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
  }
}
