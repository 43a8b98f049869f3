internal import FoundationEssentials
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import Primitives
internal import Reviews

/// A request on its way through a route.
struct Call: Sendable {
  let request: Request
  /// What stands in the path where its template has a name in braces.
  let pathID: String?
  /// Where the connection comes from.
  let peer: SocketAddress?
  let logger: Logger
  /// Who calls, on a route of `/api`.
  var caller: Caller?

  /// The most bytes of a body if a route has no limit of its own.
  static let bodyByteCountMax = 1 << 20

  /// The whole body.
  /// - Parameter time: how long it may take to arrive.
  /// - Throws: `HTTPFault`: 413 if it is longer, 408 if it takes longer, 400 if it does not arrive.
  func body(upTo byteCountMax: Int = bodyByteCountMax, within time: Duration = .seconds(30)) async throws -> Data {
    let isAnnounced = request.headers.contains(.contentLength)
    let announced = try announcedByteCount(upTo: byteCountMax)
    let body = request.body
    let read = await within(time) { () -> Result<Data, HTTPFault>? in
      // Once as long as it will be: a text that grows is in memory twice while it does.
      var bytes = Data(capacity: isAnnounced ? announced : 0)
      do {
        for try await part in body {
          guard bytes.count + part.readableBytes <= byteCountMax else { return .failure(.tooLarge(byteCountMax)) }
          bytes.append(contentsOf: part.readableBytesView)
        }
        return .success(bytes)
      } catch {
        return .failure(.malformed("the body could not be read to its end"))
      }
    }
    guard let read else { throw HTTPFault(.requestTimeout, "the body has not arrived within \(time)") }
    return try read.get()
  }

  /// The announced length of the body; without one, the longest that is allowed.
  /// - Throws: `HTTPFault` 413.
  func announcedByteCount(upTo byteCountMax: Int) throws -> Int {
    guard let length = request.headers[.contentLength].flatMap({ Int($0) }) else { return byteCountMax }
    guard length <= byteCountMax else { throw HTTPFault.tooLarge(byteCountMax) }
    return max(0, length)
  }

  /// The trace that the caller has begun (W3C Trace Context), or a new one.
  var trace: TraceContext {
    request.headers[.traceparent].flatMap { TraceContext(traceparent: $0) } ?? TraceContext()
  }

  /// The review's id in the path.
  /// - Throws: `HTTPFault` 404 if it is no UUID: no review can have it.
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
