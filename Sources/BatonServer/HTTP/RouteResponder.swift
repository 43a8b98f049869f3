internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import PostgresClient
internal import Primitives
internal import Reviews
internal import Telemetry

/// What a route needs to know of the connection.
struct Peer: InitializableFromSource {
  let address: SocketAddress?
  let logger: Logger

  init(source: ApplicationRequestContextSource) {
    address = source.channel.remoteAddress
    logger = source.logger
  }
}

/// From a request to its answer: route, permission, handler; whatever goes wrong becomes a fault as its route shows it, and every answer is
/// counted. Refusals are counted by their sender as well, here for all routes.
struct RouteResponder: HTTPResponder {
  let table: RouteTable
  /// nil if no route needs one.
  let access: AccessRule?
  let metrics: BatonMetrics
  let refusals: Refusals

  func respond(to request: Request, context: Peer) async throws -> Response {
    var path = BatonMetrics.HTTPRoute.other
    var response: Response
    var render: @Sendable (HTTPFault) -> Response = { $0.response }
    let source = Refusals.Source(
      peer: context.address, headers: request.headers, proxies: access?.proxies ?? TrustedProxies())
    do {
      let (route, id) = try find(request, path: &path)
      render = route.fault
      var call = Call(request: request, pathID: id, peer: context.address, logger: context.logger)
      // A log-in brings a token in its body, or in its address.
      if path == .login, request.method == .post || request.uri.query != nil, let wait = refusals.wait(of: source) {
        throw HTTPFault.tooMany(seconds: wait)
      }
      if route.access == .api {
        guard let access else { throw HTTPFault.unauthorized("no token is right here") }
        call.caller = try access.admit(
          request.headers, authority: request.head.authority, peer: context.address, acts: route.method != .get)
      }
      response = try await route.handle(call)
    } catch {
      response = render(fault(of: error, path: path, logger: context.logger))
    }
    if let kind = Refusals.Kind(refusing: path, request.headers, status: response.status) {
      if kind == .bearer, let wait = refusals.wait(of: source) {
        response = render(.tooMany(seconds: wait))
      }
      refusals.note(kind, from: source)
    }
    metrics.httpRequest(path, status: response.status.code).increment()
    return request.method == .head ? response.createHeadResponse() : response
  }

  /// - Parameter path: set as soon as it is known, so that a wrong method is counted with its path.
  private func find(_ request: Request, path: inout BatonMetrics.HTTPRoute) throws(HTTPFault) -> (Route, String?) {
    switch table.match(request.method, request.uri.path) {
    case .found(let route, let id):
      path = route.path
      return (route, id)
    case .wrongMethod(let known, let allowed):
      path = known
      let list = allowed.map(\.rawValue).joined(separator: ", ")
      throw HTTPFault(.methodNotAllowed, "expected \(list) here", headers: [.allow: list])
    case .unknown:
      throw HTTPFault(.notFound, "nothing is here: the routes are in /api/openapi.json and HTTPAPI.md")
    }
  }

  private func fault(of error: any Error, path: BatonMetrics.HTTPRoute, logger: Logger) -> HTTPFault {
    let fault = HTTPFault(error)
    fault.log(error, as: "request failed", logger, ["route": "\(path.rawValue)", "status": "\(fault.status.code)"])
    return fault
  }
}
