internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// An endpoint of events: keeps what comes, and answers as a test wants it.
package final class EventReceiver: Sendable {
  /// One request.
  package struct Received: Sendable, Equatable {
    package var path: String
    package var headers: [String: String]
    package var body: [UInt8]

    package var id: String { headers["webhook-id"] ?? "" }
  }

  /// A status, with headers.
  package struct Answer: Sendable {
    package var status: Int
    package var headers: [String: String]

    package init(_ status: Int, _ headers: [String: String] = [:]) { (self.status, self.headers) = (status, headers) }
  }

  private let requests = Mutex<[Received]>([])
  private let server = Mutex<(any Channel)?>(nil)
  private let answer: @Sendable (Received) async -> Answer?

  /// Listens on a free port of 127.0.0.1 when it returns.
  /// - Parameter answer: nil leaves the request without one.
  package init(_ answer: @escaping @Sendable (Received) async -> Answer? = { _ in Answer(204) }) async throws {
    self.answer = answer
    let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { [weak self] channel in
        channel.eventLoop.makeCompletedFuture {
          guard let self else { return }
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(EventReceiverHandler(receiver: self))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    server.withLock { $0 = channel }
  }

  /// The address for an endpoint.
  package var url: String { "http://127.0.0.1:\(server.withLock { $0?.localAddress?.port } ?? 0)/hook" }

  /// What has come, in order.
  package var received: [Received] { requests.withLock { $0 } }

  /// Closes the port.
  package func stop() async { try? await server.withLock { $0 }?.close().get() }

  fileprivate func take(_ head: HTTPRequestHead, _ body: [UInt8]) async -> Answer? {
    let headers = Dictionary(head.headers.map { ($0.name.lowercased(), $0.value) }) { $1 }
    let request = Received(path: head.uri, headers: headers, body: body)
    requests.withLock { $0.append(request) }
    return await answer(request)
  }
}

/// One connection of an ``EventReceiver``.
private final class EventReceiverHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let receiver: EventReceiver
  private var head: HTTPRequestHead?
  private var body: [UInt8] = []

  init(receiver: EventReceiver) { self.receiver = receiver }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
      body = []
    case .body(let part): body += part.readableBytesView
    case .end:
      guard let head else { return }
      let (receiver, received, channel) = (receiver, body, context.channel)
      context.eventLoop.makeFutureWithTask { await receiver.take(head, received) }
        .whenSuccess { answer in if let answer { Self.send(answer, on: channel) } }
    }
  }

  private static func send(_ answer: EventReceiver.Answer, on channel: any Channel) {
    var headers = HTTPHeaders(answer.headers.map { ($0.key, $0.value) })
    if answer.status != 204 { headers.add(name: "content-length", value: "0") }
    let head = HTTPResponseHead(
      version: .http1_1, status: HTTPResponseStatus(statusCode: answer.status), headers: headers)
    channel.write(HTTPServerResponsePart.head(head), promise: nil)
    channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
  }
}
