internal import HTTPTypes
internal import Hummingbird
internal import Telemetry

/// One method of one path, who may call it, and what it answers.
struct Route: Sendable {
  /// Who may call a route.
  enum Access: Sendable {
    /// Every client that reaches the port; the handler may have a rule of its own.
    case open
    /// The bearer of a token of `BATON_API_TOKEN`; one of `BATON_READ_TOKEN` for what only reads.
    case api
  }

  /// The template of the path, which is also its label in the metrics.
  let path: BatonMetrics.HTTPRoute
  let method: HTTPRequest.Method
  let access: Access
  /// How this route says no: in JSON, unless it is for people.
  let fault: @Sendable (HTTPFault) -> Response
  /// - Throws: `HTTPFault`, or any error of the store, which becomes the fault that it stands for.
  let handle: @Sendable (Call) async throws -> Response

  init(
    _ method: HTTPRequest.Method, _ path: BatonMetrics.HTTPRoute, access: Access,
    fault: @escaping @Sendable (HTTPFault) -> Response = { $0.response },
    handle: @escaping @Sendable (Call) async throws -> Response
  ) {
    self.path = path
    self.method = method
    self.access = access
    self.fault = fault
    self.handle = handle
  }
}

/// Finds the route of a request. A path is compared whole and segment by segment; nothing is decoded or tidied up, so that a
/// path has one spelling.
struct RouteTable: Sendable {
  enum Match: Sendable {
    /// - Parameter id: what stands in the path where the template has a name in braces.
    case found(Route, id: String?)
    /// The path exists, for other methods.
    case wrongMethod(BatonMetrics.HTTPRoute, allowed: [HTTPRequest.Method])
    case unknown
  }

  private struct Path: Sendable {
    let segments: [Substring]
    var routes: [HTTPRequest.Method: Route] = [:]
  }

  private var paths: [BatonMetrics.HTTPRoute: Path] = [:]

  init(_ routes: [Route]) {
    for route in routes {
      var path = paths[route.path] ?? Path(segments: Self.segments(of: route.path.rawValue))
      precondition(path.routes[route.method] == nil, "two routes for \(route.method) \(route.path.rawValue)")
      path.routes[route.method] = route
      paths[route.path] = path
    }
  }

  /// `GET` answers `HEAD` too; the caller leaves out the body.
  func match(_ method: HTTPRequest.Method, _ path: String) -> Match {
    let segments = Self.segments(of: path)
    for (name, candidate) in paths {
      guard let id = Self.capture(candidate.segments, in: segments) else { continue }
      if let route = candidate.routes[method == .head ? .get : method] {
        return .found(route, id: id.isEmpty ? nil : id)
      }
      var allowed = Array(candidate.routes.keys)
      if candidate.routes[.get] != nil { allowed.append(.head) }
      return .wrongMethod(name, allowed: allowed.sorted { $0.rawValue < $1.rawValue })
    }
    return .unknown
  }

  private static func segments(of path: String) -> [Substring] {
    path.dropFirst(path.hasPrefix("/") ? 1 : 0).split(separator: "/", omittingEmptySubsequences: false)
  }

  /// What stands at the template's name, empty if it has none; nil if the path is another.
  private static func capture(_ template: [Substring], in segments: [Substring]) -> String? {
    guard template.count == segments.count else { return nil }
    var id = ""
    for (expected, segment) in zip(template, segments) {
      if expected.hasPrefix("{"), !segment.isEmpty {
        id = String(segment)
      } else if expected != segment {
        return nil
      }
    }
    return id
  }
}
