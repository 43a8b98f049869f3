internal import DequeModule
internal import FoundationEssentials
internal import HTTPTrust
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL

/// Where a worker's server listens.
struct WorkerEndpoint: Sendable, Equatable {
  var isTLS: Bool
  var host: String
  var port: Int
  /// The path below which the contract's routes lie, without a slash at its end.
  var path: String

  /// - Parameter url: `http` or `https`, without query and fragment.
  init?(url: String) {
    guard let components = URLComponents(string: url), let scheme = components.scheme?.lowercased(),
      scheme == "http" || scheme == "https", let host = components.host, !host.isEmpty, components.query == nil,
      components.fragment == nil
    else { return nil }
    isTLS = scheme == "https"
    self.host = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
    port = components.port ?? (isTLS ? 443 : 80)
    path = components.percentEncodedPath
    while path.hasSuffix("/") { path.removeLast() }
  }

  /// Host and port, for the `Host` header and messages.
  var authority: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }
}

/// Runs exchanges over kept-alive HTTP/1.1 connections to one server.
///
/// Calling the worker is the step that every review takes, so it is made of as little as it needs: NIO's HTTP decoder, one event loop,
/// a stack of idle connections, one timer for all deadlines, and nothing between them. One loop makes more than ten thousand calls a
/// second, and is woken less often for them than several would be. A general client would cost twice as much processor time.
///
/// Bound: callers above `connectionMax` wait in line, against their own deadline. Nothing has to be shut down: an idle connection
/// closes by itself.
final class WorkerConnections: Sendable {
  private final class Pool {
    /// The one used last is used first, so that those that are not needed grow old.
    var idle: [WorkerConnection] = []
    /// Those being made among them.
    var openCount = 0
    var connectingCount = 0
    var waiting: Deque<Exchange> = []
    /// All that have not ended, by deadline: all have the same time.
    var timeline: Deque<Exchange> = []
    var isDeadlineSet = false
    var isSweepSet = false
    /// Of the certificates that were trusted last.
    var tls: (context: NIOSSLContext, version: Int)?
  }

  /// Below the 5 s after which common servers close an idle connection: one that closes under a request makes the start ambiguous,
  /// which costs a question and, at worst, a backoff.
  private static let idleMax: TimeAmount = .seconds(4)

  let endpoint: WorkerEndpoint
  private let connectionMax: Int
  private let timeout: TimeAmount
  private let trust: HTTPTrust
  private let loop: any EventLoop
  private let pool: NIOLoopBoundBox<Pool>

  /// - Parameters:
  ///   - connectionMax: how many exchanges may be under way at once.
  ///   - timeout: of one whole exchange, waiting for a connection included.
  ///   - trust: read anew when its files change.
  init(endpoint: WorkerEndpoint, connectionMax: Int, timeout: Duration, trust: HTTPTrust) throws {
    self.endpoint = endpoint
    self.connectionMax = max(connectionMax, 1)
    self.timeout = TimeAmount(timeout)
    self.trust = trust
    // Shows a fault at once.
    if endpoint.isTLS { _ = try NIOSSLContext(configuration: trust.clientConfiguration) }
    loop = MultiThreadedEventLoopGroup.singleton.next()
    pool = .makeBoxSendingValue(Pool(), eventLoop: loop)
  }

  /// Only on the loop.
  private var state: Pool { pool.value }

  /// Runs one exchange to its end, or to its deadline.
  /// - Parameter byteCountMax: the most bytes of the answer's body.
  func run(_ request: RenderedRequest, byteCountMax: Int) async -> ExchangeResult {
    let exchange = NIOLoopBoundBox.makeBoxSendingValue(
      Exchange(request, byteCountMax: byteCountMax, deadline: .now() + timeout), eventLoop: loop)
    return await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        loop.execute {
          exchange.value.attach(continuation)
          self.start(exchange.value)
        }
      }
    } onCancel: {
      loop.execute { self.stop(exchange.value, .cancelled) }
    }
  }

  private func start(_ exchange: Exchange) {
    // Cancelled before it came here.
    guard !exchange.hasEnded else { return }
    state.timeline.append(exchange)
    setDeadline()
    if let connection = state.idle.popLast() { return connection.begin(exchange) }
    state.waiting.append(exchange)
    connectWhereNeeded()
  }

  /// Ends an exchange from this side. Its connection is of no more use: the answer may come after all.
  private func stop(_ exchange: Exchange, _ failure: ExchangeFailure) {
    guard !exchange.hasEnded else { return }
    exchange.end(failure)
    exchange.connection?.close()
  }

  // MARK: Connections

  private func connectWhereNeeded() {
    while state.connectingCount < state.waiting.count, state.openCount < connectionMax { connect() }
  }

  /// nil without TLS.
  private func tlsContext() throws -> NIOSSLContext? {
    guard endpoint.isTLS else { return nil }
    let (configuration, version) = trust.current
    if let known = state.tls, known.version == version { return known.context }
    let context = try NIOSSLContext(configuration: configuration)
    state.tls = (context, version)
    return context
  }

  private func connect() {
    state.openCount += 1
    state.connectingCount += 1
    ClientBootstrap(group: loop)
      .connectTimeout(timeout)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          if let tls = try tlsContext() {
            let isName = (try? SocketAddress(ipAddress: endpoint.host, port: 0)) == nil
            try pipeline.addHandler(
              NIOSSLClientHandler(context: tls, serverHostname: isName ? endpoint.host : nil))
          }
          try pipeline.addHandler(RenderedRequestWriter())
          try pipeline.addHandler(ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes)))
          try pipeline.addHandler(WorkerConnection(pool: self))
          if endpoint.isTLS { closeIfNotReady(channel) }
        }
      }
      .connect(host: endpoint.host, port: endpoint.port)
      .assumeIsolated()
      .whenFailure { error in self.isNotMade(error) }
  }

  /// A handshake has no end of its own.
  private func closeIfNotReady(_ channel: any Channel) {
    let handler = try? channel.pipeline.syncOperations.handler(type: WorkerConnection.self)
    loop.assumeIsolated().scheduleTask(in: timeout) { handler?.closeUnlessReady() }
  }

  private func isNotMade(_ error: any Error) {
    state.openCount -= 1
    state.connectingCount -= 1
    // One that could not be made fails one that waits for it.
    nextWaiting()?.end(error)
    connectWhereNeeded()
  }

  private func nextWaiting() -> Exchange? {
    while let exchange = state.waiting.popFirst() {
      if !exchange.hasEnded { return exchange }
    }
    return nil
  }

  /// A connection is ready for an exchange, for the first time or again.
  func isFree(_ connection: WorkerConnection, isNew: Bool) {
    if isNew { state.connectingCount -= 1 }
    forgetEnded()
    if let exchange = nextWaiting() { return connection.begin(exchange) }
    state.idle.append(connection)
    setSweep()
  }

  func isClosed(_ connection: WorkerConnection, wasReady: Bool, error: any Error) {
    guard wasReady else { return isNotMade(error) }
    state.openCount -= 1
    state.idle.removeAll { $0 === connection }
    forgetEnded()
    connectWhereNeeded()
  }

  // MARK: Time

  private func forgetEnded() {
    while state.timeline.first?.hasEnded == true { state.timeline.removeFirst() }
  }

  private func setDeadline() {
    guard !state.isDeadlineSet, let first = state.timeline.first else { return }
    state.isDeadlineSet = true
    loop.assumeIsolated().scheduleTask(deadline: first.deadline) {
      self.state.isDeadlineSet = false
      let now = NIODeadline.now()
      while let first = self.state.timeline.first, first.hasEnded || first.deadline <= now {
        self.state.timeline.removeFirst()
        self.stop(first, first.wasSent ? .timedOut : .noConnectionInTime)
      }
      self.setDeadline()
    }
  }

  /// Closes what has been idle for too long, now and then, while there is something idle.
  private func setSweep() {
    guard !state.isSweepSet, let oldest = state.idle.first else { return }
    state.isSweepSet = true
    loop.assumeIsolated().scheduleTask(deadline: oldest.idleSince + Self.idleMax) {
      self.state.isSweepSet = false
      let limit = NIODeadline.now() - Self.idleMax
      for connection in self.state.idle.prefix(while: { $0.idleSince <= limit }) { connection.close() }
      self.setSweep()
    }
  }
}
