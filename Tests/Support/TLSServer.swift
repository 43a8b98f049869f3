internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
package import NIOSSL
internal import Synchronization

/// An HTTPS server on loopback that answers every request with one status and body.
package struct TLSServer: Sendable {
  package let port: Int
  private let channel: any Channel
  private let requests: RequestCount

  /// How many requests have come.
  package var requestCount: Int { requests.count.withLock { $0 } }

  /// - Parameters:
  ///   - certificate: a PEM file.
  ///   - key: a PEM file.
  ///   - clientAuthority: a PEM file; a client has to have a certificate of it.
  ///   - newest: the newest version of TLS that is offered; nil for all.
  package init(
    certificate: String, key: String, clientAuthority: String? = nil, newest: TLSVersion? = nil,
    status: Int = 200, body: String = "{}"
  ) async throws {
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
      privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
    configuration.minimumTLSVersion = .tlsv1
    configuration.maximumTLSVersion = newest
    if let clientAuthority {
      configuration.certificateVerification = .noHostnameVerification
      configuration.trustRoots = .file(clientAuthority)
    }
    let context = try NIOSSLContext(configuration: configuration)
    let requests = RequestCount()
    self.requests = requests
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(
            OneAnswer(status: HTTPResponseStatus(statusCode: status), body: body, requests: requests))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    port = channel.localAddress?.port ?? 0
  }

  /// Stops listening.
  package func stop() async throws { try await channel.close() }
}

private final class RequestCount: Sendable {
  let count = Mutex(0)
}

private final class OneAnswer: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let status: HTTPResponseStatus
  private let body: String
  private let requests: RequestCount

  init(status: HTTPResponseStatus, body: String, requests: RequestCount) {
    (self.status, self.body, self.requests) = (status, body, requests)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head: requests.count.withLock { $0 += 1 }
    case .body: break
    case .end:
      let head = HTTPResponseHead(
        version: .http1_1, status: status,
        headers: ["content-type": "application/json", "content-length": "\(body.utf8.count)"])
      context.write(wrapOutboundOut(.head(head)), promise: nil)
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
