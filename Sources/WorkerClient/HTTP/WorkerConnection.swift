internal import CrashPoints
internal import NIOCore
internal import NIOHTTP1
internal import NIOTLS

/// One connection to the worker: the handler at the end of its channel's pipeline, which runs one exchange at a time.
final class WorkerConnection: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private let pool: WorkerConnections
  private var context: ChannelHandlerContext?
  private var exchange: Exchange?
  /// Whether requests may be written: once TCP is up, and TLS if it is used.
  private var isReady = false
  private var error: (any Error)?
  private var staysAlive = true
  /// Since when it waits for an exchange.
  private(set) var idleSince = NIODeadline.now()

  init(pool: WorkerConnections) { self.pool = pool }

  // MARK: The pool's side

  /// Writes a request; the answer ends the exchange.
  func begin(_ exchange: Exchange) {
    guard let context else { return exchange.end(ExchangeFailure.closed) }
    self.exchange = exchange
    exchange.send(on: self)
    context.write(wrapOutboundOut(.head(exchange.request.head)), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(exchange.request.bytes))), promise: nil)
    if exchange.request.method == .POST { CrashPoint.posted.reached() }
  }

  func close() { context?.close(promise: nil) }

  func closeUnlessReady() { if !isReady { close() } }

  // MARK: The channel's side

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelActive(context: ChannelHandlerContext) {
    if !pool.endpoint.isTLS { becomeReady() }
    context.fireChannelActive()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case TLSUserEvent.handshakeCompleted = event { becomeReady() }
    context.fireUserInboundEventTriggered(event)
  }

  private func becomeReady() {
    isReady = true
    release(isNew: true)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard let exchange else { return close() }
    switch unwrapInboundIn(data) {
    case .head(let head):
      staysAlive = head.isKeepAlive
      exchange.receive(head)
    case .body(let part):
      guard exchange.receive(part) else { return end(ExchangeFailure.tooLong) }
    case .end:
      exchange.complete()
      self.exchange = nil
      if staysAlive { release(isNew: false) } else { close() }
    }
  }

  private func release(isNew: Bool) {
    idleSince = .now()
    pool.isFree(self, isNew: isNew)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A peer that closes without notice is reported as an error by TLS, after the answer was read.
    self.error = self.error ?? error
    end(error)
  }

  func channelInactive(context: ChannelHandlerContext) {
    end(error ?? ExchangeFailure.closed)
    pool.isClosed(self, wasReady: isReady, error: error ?? ExchangeFailure.closed)
    context.fireChannelInactive()
  }

  private func end(_ error: any Error) {
    exchange?.end(error)
    exchange = nil
    close()
  }
}
