internal import HTTPTypes
package import Hummingbird
internal import Logging
internal import NIOCore
package import Telemetry

/// What a route needs to know of the connection.
package struct Peer: InitializableFromSource {
  let address: SocketAddress?
  let logger: Logger

  package init(source: ApplicationRequestContextSource) {
    address = source.channel.remoteAddress
    logger = source.logger
  }
}

/// From a request to its answer: route, permission, handler. An error becomes a fault as its route shows it, and every answer is counted,
/// here for all routes of a server.
package struct RouteResponder: HTTPResponder {
  private let table: RouteTable
  private let access: (any AccessControl)?
  private let watch: (any RequestWatch)?
  private let known: @Sendable (any Error) -> HTTPFault?
  private let fault: @Sendable (HTTPFault) -> Response
  private let metrics: BatonMetrics?

  /// - Parameters:
  ///   - table: the routes.
  ///   - access: nil if all routes are open.
  ///   - watch: nil for none.
  ///   - metrics: nil counts nothing.
  ///   - known: the faults that errors of the server's own modules stand for.
  ///   - fault: how routes that have no way of their own show a fault.
  package init(
    _ table: RouteTable, access: (any AccessControl)? = nil, watch: (any RequestWatch)? = nil, metrics: BatonMetrics?,
    known: @escaping @Sendable (any Error) -> HTTPFault? = { _ in nil },
    fault: @escaping @Sendable (HTTPFault) -> Response = { $0.response }
  ) {
    self.table = table
    self.access = access
    self.watch = watch
    self.metrics = metrics
    self.known = known
    self.fault = fault
    for path in table.paths + [.other] {
      for status in path.expectedStatuses { _ = metrics?.httpRequest(path.template, status: status) }
    }
  }

  package func respond(to request: Request, context: Peer) async throws -> Response {
    var path = RoutePath.other
    var response: Response
    var render = fault
    var call = Call(request: request, pathID: nil, peer: context.address, logger: context.logger)
    do {
      let (route, id) = try find(request, path: &path)
      render = route.fault ?? fault
      call.pathID = id
      try watch?.willHandle(call, on: path)
      if route.access == .api {
        guard let access else { throw HTTPFault.unauthorized("no token is right here") }
        call.caller = try access.admit(request, peer: context.address, acts: route.method != .get)
      }
      response = try await route.handle(call)
    } catch {
      let fault = HTTPFault(error, known: known)
      fault.log(
        error, as: "request failed", context.logger, ["route": "\(path)", "status": "\(fault.status.code)"])
      response = render(fault)
    }
    if let fault = watch?.didAnswer(call, on: path, status: response.status) { response = render(fault) }
    metrics?.httpRequest(path.template, status: response.status.code).increment()
    return request.method == .head ? response.createHeadResponse() : response
  }

  /// - Parameter path: set as soon as it is known, so that a wrong method is counted with its path.
  private func find(_ request: Request, path: inout RoutePath) throws(HTTPFault) -> (Route, String?) {
    switch table.match(request.method, request.uri.path) {
    case .found(let route, let id):
      path = route.path
      return (route, id)
    case .wrongMethod(let known, let allowed):
      path = known
      let list = allowed.map(\.rawValue).joined(separator: ", ")
      throw HTTPFault(.methodNotAllowed, "expected \(list) here", headers: [.allow: list])
    case .unknown:
      throw HTTPFault(
        .notFound, "nothing is here: a server's routes are in /api/openapi.json, a worker's in WorkerContract.md")
    }
  }
}
