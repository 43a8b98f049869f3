internal import FoundationEssentials
internal import NIOCore
internal import NIOHTTP1
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// One connection of a ``ScriptedWorker``.
final class ScriptedWorkerHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let worker: ScriptedWorker
  private var head: HTTPRequestHead?
  private var body = ByteBuffer()

  init(worker: ScriptedWorker) { self.worker = worker }

  func channelActive(context: ChannelHandlerContext) {
    if worker.opened(context.channel) {
      context.fireChannelActive()
    } else {
      context.close(promise: nil)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    worker.closed(context.channel)
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      if head.method == .POST, head.uri.hasSuffix("/review"), worker.cutsAtHead() {
        context.close(promise: nil)
        return
      }
      self.head = head
      body.clear()
    case .body(var part):
      body.writeBuffer(&part)
    case .end:
      guard let head else { return }
      self.head = nil
      answer(head, context: context)
    }
  }

  private func answer(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
    let path = head.uri.split(separator: "/").map(String.init)
    if let front = worker.front {
      respond(front.status, front.body, more: front.headers, context: context)
    } else if path.last == "health" {
      respond(200, #"{"status":"ok"}"#, context: context)
    } else if !worker.isAuthorized(head.headers) {
      respond(401, #"{"error":"wrong token"}"#, context: context)
    } else if head.method == .POST, path.last == "review" {
      start(head, context: context)
    } else if head.method == .POST, path.last == "cancel", path.count >= 2,
      let id = UUID(uuidString: path[path.count - 2])
    {
      let request =
        (try? JSONDecoder().decode(CancelRequest.self, from: Data(body.readableBytesView))) ?? CancelRequest()
      let response = worker.cancel(id, request)
      if !worker.hangsOnQuestions { respond(200, encoded(response), context: context) }
    } else if head.method == .GET, path.last == "events" {
      switch worker.events {
      case .notKept: respond(404, #"{"error":"no events are kept"}"#, context: context)
      case .known(let events):
        let id = path.dropLast().last.flatMap { UUID(uuidString: $0) } ?? UUID()
        respond(200, encoded(RunEvents(reviewId: id, events: events)), context: context)
      case .hangs: break
      }
    } else if head.method == .GET, let id = path.last.flatMap({ UUID(uuidString: $0) }) {
      let (lacksRoute, status) = worker.status(of: id)
      if worker.hangsOnQuestions { return }
      if lacksRoute {
        respond(405, #"{"error":"no such method"}"#, context: context)
      } else if let status {
        respond(200, encoded(status), context: context)
      } else {
        respond(404, #"{"error":"unknown review"}"#, context: context)
      }
    } else {
      respond(404, #"{"error":"no such route"}"#, context: context)
    }
  }

  private func start(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
    guard let request = try? JSONDecoder().decode(StartRequest.self, from: Data(body.readableBytesView)) else {
      respond(400, #"{"error":"malformed start"}"#, context: context)
      return
    }
    let (step, response) = worker.step(for: request, headers: head.headers)
    let accepted = String(decoding: response.encode(), as: UTF8.self)
    switch step {
    case .accept: respond(202, accepted, context: context)
    case .slow(let time):
      let context = NIOLoopBound(context, eventLoop: context.eventLoop)
      context.value.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(time)) {
        self.respond(202, accepted, context: context.value)
      }
    case .hangs: break
    case .cutsAfterReading, .cutBeforeReading: context.close(promise: nil)
    case .status(let status, let retryAfter, let error, _):
      respond(status, encoded(ErrorBody(error: error)), retryAfter: retryAfter, context: context)
    case .answersGarbage: respond(200, "<html>It works!</html>", context: context)
    case .acceptAsAnother:
      let another = StartResponse(reviewId: UUID(), status: .queued)
      respond(202, String(decoding: another.encode(), as: UTF8.self), context: context)
    case .noHTTP: raw("SSH-2.0-OpenSSH_9.2\r\n\r\n", context: context)
    case .cutsInBody, .stallsInBody:
      raw("HTTP/1.1 202 Accepted\r\ncontent-length: 1000\r\n\r\n{\"reviewId\":", context: context)
      if case .cutsInBody = step { context.close(promise: nil) }
    }
  }

  private func encoded(_ value: some Encodable) -> String {
    (try? JSONEncoder().encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }

  private func respond(
    _ status: Int, _ text: String, retryAfter: String? = nil, more: [String: String] = [:],
    context: ChannelHandlerContext
  ) {
    var headers: HTTPHeaders = ["content-type": "application/json", "content-length": "\(text.utf8.count)"]
    if let retryAfter { headers.add(name: "retry-after", value: retryAfter) }
    for (name, value) in more { headers.add(name: name, value: value) }
    let head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }

  /// Past the HTTP encoder, from the pipeline's first handler on.
  private func raw(_ text: String, context: ChannelHandlerContext) {
    guard let encoder = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self) else {
      return
    }
    encoder.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
  }
}
