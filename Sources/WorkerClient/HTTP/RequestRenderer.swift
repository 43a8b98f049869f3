internal import NIOCore
internal import NIOHTTP1
internal import Primitives

/// A request as its bytes go over the wire.
struct RenderedRequest: Sendable {
  let method: HTTPMethod
  let bytes: ByteBuffer

  /// What the decoder of the answer is given of the request: whether the answer has a body depends on its method.
  var head: HTTPRequestHead {
    method == .POST ? Self.post : HTTPRequestHead(version: .http1_1, method: method, uri: "")
  }

  private static let post = HTTPRequestHead(version: .http1_1, method: .POST, uri: "")
}

/// Makes requests: what they have in common once, and the head and the body of each in one buffer.
///
/// NIO's encoder would take more processor time than all else in a call: a list of headers to copy, to check and to encode for each, and three
/// parts to box and to pass on.
struct RequestRenderer: Sendable {
  private let path: String
  /// From the version to the last header that all requests have.
  private let constant: [UInt8]

  /// What is reserved for the line of the request and the headers of its own.
  private static let variableByteCount = 512

  /// - Returns: nil if host or token cannot stand in a header.
  init?(_ endpoint: WorkerEndpoint, token: Secret) {
    guard Self.isHeaderValue(endpoint.authority), Self.isHeaderValue(token.reveal()) else { return nil }
    path = endpoint.path
    constant = Array(
      """
       HTTP/1.1\r
      host: \(endpoint.authority)\r
      authorization: Bearer \(token.reveal())\r
      content-type: application/json\r
      accept: application/json\r

      """.utf8)
  }

  /// - Parameters:
  ///   - method: of the request.
  ///   - route: below the path of the endpoint; percent-encoded.
  ///   - body: nil for none.
  ///   - headers: its own, with values that a header can carry.
  func render(
    _ method: HTTPMethod, _ route: String, _ body: [UInt8]?, headers: [(name: String, value: String)]
  ) -> RenderedRequest {
    var bytes = ByteBufferAllocator().buffer(
      capacity: constant.count + path.utf8.count + Self.variableByteCount + (body?.count ?? 0))
    bytes.writeString(method.rawValue)
    bytes.writeStaticString(" ")
    bytes.writeString(path)
    bytes.writeString(route)
    bytes.writeBytes(constant)
    for header in headers { Self.write(header.name, header.value, to: &bytes) }
    if let body { Self.write("content-length", String(body.count), to: &bytes) }
    bytes.writeStaticString("\r\n")
    if let body { bytes.writeBytes(body) }
    return RenderedRequest(method: method, bytes: bytes)
  }

  private static func write(_ name: String, _ value: String, to bytes: inout ByteBuffer) {
    bytes.writeString(name)
    bytes.writeStaticString(": ")
    bytes.writeString(value)
    bytes.writeStaticString("\r\n")
  }

  private static func isHeaderValue(_ text: String) -> Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }
}

/// Writes requests that are rendered already. Their heads were for the decoder above.
final class RenderedRequestWriter: ChannelOutboundHandler {
  typealias OutboundIn = HTTPClientRequestPart
  typealias OutboundOut = ByteBuffer

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard case .body(.byteBuffer(let bytes)) = unwrapOutboundIn(data) else {
      promise?.succeed()
      return
    }
    context.write(wrapOutboundOut(bytes), promise: promise)
  }
}
