internal import FoundationEssentials
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import Reviews

/// A request on its way through a route.
struct Call: Sendable {
  let request: Request
  /// What stands in the path where its template has a name in braces.
  let pathID: String?
  /// Where the connection comes from.
  let peer: SocketAddress?
  let logger: Logger

  /// The most bytes of a body.
  static let bodyByteCountMax = 1 << 20

  /// The whole body.
  /// - Throws: `HTTPFault`: 413 where it is longer than ``bodyByteCountMax``, 400 where it does not arrive.
  func body() async throws -> Data {
    let tooLarge = HTTPFault(.contentTooLarge, "the body is larger than \(Self.bodyByteCountMax) bytes")
    if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > Self.bodyByteCountMax {
      throw tooLarge
    }
    do {
      let buffer = try await request.body.collect(upTo: Self.bodyByteCountMax)
      return Data(buffer.readableBytesView)
    } catch is NIOTooManyBytesError {
      throw tooLarge
    } catch {
      throw HTTPFault.malformed("the body could not be read to its end")
    }
  }

  /// The trace that the caller has begun (W3C Trace Context), or a new one.
  var trace: TraceContext {
    request.headers[.traceparent].flatMap { TraceContext(traceparent: $0) } ?? TraceContext()
  }

  /// The review's id in the path.
  /// - Throws: `HTTPFault` 404 where it is no UUID: no review can have it.
  func reviewID() throws -> UUID {
    guard let pathID, let id = UUID(uuidString: pathID) else {
      throw HTTPFault(.notFound, "no review has this id: expected a UUID, as in 0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11")
    }
    return id
  }

  /// The parameters behind the question mark.
  /// - Throws: `HTTPFault` 400, naming each that cannot be read or that the route does not know.
  func query(knowing names: [String]) throws -> [String: String] {
    let query = QueryText(request.uri.query ?? "", knowing: names)
    guard query.faults.isEmpty else { throw HTTPFault.malformed("faulty query", faults: query.faults) }
    return query.values
  }
}
