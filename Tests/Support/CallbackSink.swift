package import FoundationEssentials
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization
package import WorkerAPI

/// Takes a worker's status callbacks in Baton's place, accepts them, and keeps a list: Baton receives only those that are
/// sent on.
package final class CallbackSink: Sendable {
  /// One callback that was received.
  package struct Received: Sendable {
    package var reviewID: UUID
    package var callback: StatusCallback
    /// As it came.
    package var path: String
    package var headers: [(String, String)]
    package var body: [UInt8]
  }

  /// Sends a callback on to Baton, and gives the status that it was answered with; nil loses it here.
  package typealias Onward = @Sendable (Received) async -> Int?

  private struct State {
    var received: [Received] = []
    var refusing = false
  }

  private let state = Mutex(State())
  private let server = Mutex<(any Channel)?>(nil)
  private let onward: Onward

  /// Listens on a free port of 127.0.0.1 when it returns.
  package init(onward: @escaping Onward = { _ in nil }) async throws {
    self.onward = onward
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

  /// What was accepted here, in order.
  package var received: [Received] { state.withLock { $0.received } }

  /// What was accepted about one review, in order.
  package func statuses(of reviewID: UUID) -> [StatusCallback.Status] {
    received.filter { $0.reviewID == reviewID }.map(\.callback.status)
  }

  /// - Returns: the status to answer with.
  fileprivate func take(_ head: HTTPRequestHead, _ body: [UInt8]) async -> Int {
    guard let id = head.uri.split(separator: "/").last.flatMap({ UUID(uuidString: String($0)) }),
      let callback = try? JSONDecoder().decode(StatusCallback.self, from: Data(body))
    else { return 400 }
    guard !isRefusing else { return 503 }
    let received = Received(
      reviewID: id, callback: callback, path: head.uri, headers: head.headers.map { ($0.name, $0.value) }, body: body)
    if let answer = await onward(received) { return answer }
    state.withLock { $0.received.append(received) }
    return 200
  }
}

/// One connection of a ``CallbackSink``.
private final class CallbackSinkHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let sink: CallbackSink
  private var head: HTTPRequestHead?
  private var body: [UInt8] = []

  init(sink: CallbackSink) { self.sink = sink }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
      body = []
    case .body(let part): body += part.readableBytesView
    case .end:
      guard let head else { return }
      let (sink, received, channel) = (sink, body, context.channel)
      // The next request of the connection waits for this answer: the pipeline's own handler ensures that.
      context.eventLoop.makeFutureWithTask { await sink.take(head, received) }
        .whenSuccess { Self.answer($0, on: channel) }
    }
  }

  private static func answer(_ status: Int, on channel: any Channel) {
    let text = #"{"success":true}"#
    let head = HTTPResponseHead(
      version: .http1_1, status: HTTPResponseStatus(statusCode: status),
      headers: ["content-type": "application/json", "content-length": "\(text.utf8.count)"])
    channel.write(HTTPServerResponsePart.head(head), promise: nil)
    channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: text))), promise: nil)
    channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
  }
}
