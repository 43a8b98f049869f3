package import FoundationEssentials
internal import HTTPTypes
package import Hummingbird
package import Logging
package import NIOCore
package import Primitives
internal import Resilience

/// A request on its way through a route.
package struct Call: Sendable {
  package let request: Request
  /// What stands in the path where its template has a name in braces.
  package internal(set) var pathID: String?
  /// Where the connection comes from.
  package let peer: SocketAddress?
  package let logger: Logger
  /// Who calls, on a route of `/api`.
  package internal(set) var caller: Caller?
  /// The span that the answer is made in; nil if there is none.
  package var span: TraceContext?

  package init(request: Request, pathID: String?, peer: SocketAddress?, logger: Logger) {
    self.request = request
    self.pathID = pathID
    self.peer = peer
    self.logger = logger
  }

  /// The most bytes of a body if a route has no limit of its own.
  package static let bodyByteCountMax = 1 << 20

  /// The whole body.
  /// - Parameters:
  ///   - byteCountMax: the most bytes that it may have.
  ///   - time: how long it may take to arrive.
  ///   - refusesUnread: whether a body whose announced length is too large is refused at once. Otherwise as much as is allowed is read before:
  ///     some clients take an answer that comes while they send for a lost connection.
  /// - Throws: `HTTPFault`: 413 if it is longer, 408 if it takes longer, 400 if it does not arrive.
  package func body(
    upTo byteCountMax: Int = bodyByteCountMax, within time: Duration = .seconds(30), refusesUnread: Bool = true
  ) async throws -> Data {
    let isAnnounced = request.headers.contains(.contentLength)
    let announced = min(try announcedByteCount(upTo: refusesUnread ? byteCountMax : .max), byteCountMax)
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
  package func announcedByteCount(upTo byteCountMax: Int) throws -> Int {
    guard let length = request.headers[.contentLength].flatMap({ Int($0) }) else { return byteCountMax }
    guard length <= byteCountMax else { throw HTTPFault.tooLarge(byteCountMax) }
    return max(0, length)
  }

  /// The trace that the caller has begun (W3C Trace Context); nil if it names none.
  package var callersTrace: TraceContext? {
    request.headers[.traceparent].flatMap { TraceContext(traceparent: $0) }
  }

  /// The span of this answer; or the trace that the caller has begun, or a new one.
  package var trace: TraceContext { span ?? callersTrace ?? TraceContext() }

  /// The parameters behind the question mark.
  /// - Throws: `HTTPFault` 400, naming each that cannot be read or that the route does not know.
  package func query(knowing names: [String]) throws -> [String: String] {
    let query = QueryText(request.uri.query ?? "", knowing: names)
    guard query.faults.isEmpty else { throw HTTPFault.malformed("faulty query", faults: query.faults) }
    return query.values
  }
}
