internal import NIOCore
internal import NIOHTTP1

/// Keeps the table up to date with what happens on one connection, refuses requests without one valid Host (RFC 9112, 3.2), and closes the
/// connection after an answer that came before the whole body.
final class ConnectionGuard: ChannelDuplexHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  private let table: ConnectionTable<any Channel>
  private let limits: ConnectionLimits
  private var id: UInt64 = 0
  private var state = ConnectionState()
  private var shownPhase = ConnectionState.Phase.head
  private var drainedByteCount = 0
  /// A request was refused here: the rest of what comes is not for the server.
  private var isRefused = false

  init(table: ConnectionTable<any Channel>, limits: ConnectionLimits) {
    self.table = table
    self.limits = limits
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let added = table.add(context.channel, from: PeerAddress(context.channel.remoteAddress))
    id = added.id
    added.victim?.close(promise: nil)
  }

  func handlerRemoved(context: ChannelHandlerContext) { table.remove(id) }

  private func showPhase() {
    guard state.phase != shownPhase else { return }
    shownPhase = state.phase
    table.set(shownPhase, of: id)
  }

  // MARK: Reading

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    defer { showPhase() }
    let part = unwrapInboundIn(data)
    if isRefused || shownPhase == .drain { return drain(part, context) }
    switch part {
    case .head(let head):
      if let fault = HostFault(head) { return refuse(fault, context) }
      state.headArrived(isLast: !head.isKeepAlive)
    case .body: break
    case .end: state.bodyEnded()
    }
    context.fireChannelRead(data)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    state.bytesArrived()
    showPhase()
    context.fireChannelReadComplete()
  }

  func read(context: ChannelHandlerContext) {
    if drainedByteCount <= limits.drainByteCountMax { context.read() }
  }

  private func drain(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
    switch part {
    case .head: break
    case .body(let bytes): drainedByteCount += bytes.readableBytes
    case .end:
      state.bodyEnded()
      if state.phase == .drain { context.close(promise: nil) }
    }
  }

  private func refuse(_ fault: HostFault, _ context: ChannelHandlerContext) {
    isRefused = true
    // Behind a request that is still being answered: only that one gets an answer.
    let isFirst = state.unansweredCount == 0
    state.headArrived(isLast: true)
    guard isFirst else { return state.answerEnded() }
    let body = ByteBuffer(string: fault.body)
    let headers: HTTPHeaders = [
      "Content-Type": "application/json; charset=utf-8", "Content-Length": "\(body.readableBytes)",
    ]
    write(
      context: context, data: wrapOutboundOut(.head(.init(version: .http1_1, status: .badRequest, headers: headers))),
      promise: nil)
    write(context: context, data: wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    write(context: context, data: wrapOutboundOut(.end(nil)), promise: nil)
    context.flush()
  }

  // MARK: Writing

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(var head) where head.status.code >= 200:
      if state.answerBegan(isLast: head.headers[canonicalForm: "connection"].contains("close")) {
        head.headers.replaceOrAdd(name: "Connection", value: "close")
      }
      context.write(wrapOutboundOut(.head(head)), promise: promise)
    case .end:
      let written = promise ?? context.eventLoop.makePromise()
      written.futureResult.assumeIsolated().whenComplete { _ in self.answerWritten(context) }
      context.write(data, promise: written)
    default: context.write(data, promise: promise)
    }
    showPhase()
  }

  /// The answer is with the kernel: only now the next deadline begins.
  private func answerWritten(_ context: ChannelHandlerContext) {
    state.answerEnded()
    showPhase()
    guard state.phase == .drain else { return }
    if state.isReading {
      context.close(mode: .output, promise: nil)
    } else {
      context.close(promise: nil)
    }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    state.isBlocked = !context.channel.isWritable
    showPhase()
    context.fireChannelWritabilityChanged()
  }
}

/// What is wrong with the Host of a request.
private enum HostFault {
  case missing, repeated, malformed

  init?(_ head: HTTPRequestHead) {
    let hosts = head.headers["Host"]
    if hosts.count > 1 {
      self = .repeated
    } else if let host = hosts.first {
      guard Authority(host) == nil else { return nil }
      self = .malformed
    } else {
      guard (head.version.major, head.version.minor) >= (1, 1) else { return nil }
      self = .missing
    }
  }

  var body: String {
    let message =
      switch self {
      case .missing: "a request of HTTP/1.1 needs the header Host"
      case .repeated: "the header Host stands there more than once"
      case .malformed: "the header Host is not host or host:port"
      }
    return "{\"error\":\"\(message)\",\"faults\":[]}"
  }
}
