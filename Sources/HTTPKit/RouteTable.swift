package import HTTPTypes

/// Finds the route of a request. A path is compared whole and segment by segment; nothing is decoded or tidied up, so that a
/// path has one spelling.
package struct RouteTable: Sendable {
  /// What a table has for a method and a path.
  package enum Match: Sendable {
    /// - Parameter id: what stands in the path where the template has a name in braces.
    case found(Route, id: String?)
    /// The path exists, for other methods.
    case wrongMethod(RoutePath, allowed: [HTTPRequest.Method])
    case unknown
  }

  private struct Path: Sendable {
    let segments: [Substring]
    var routes: [HTTPRequest.Method: Route] = [:]
  }

  private var table: [RoutePath: Path] = [:]

  /// The paths that have a route.
  package var paths: [RoutePath] { table.keys.sorted { $0.template < $1.template } }

  package init(_ routes: [Route]) {
    for route in routes {
      var path = table[route.path] ?? Path(segments: Self.segments(of: route.path.template))
      precondition(path.routes[route.method] == nil, "two routes for \(route.method) \(route.path)")
      path.routes[route.method] = route
      table[route.path] = path
    }
  }

  /// `GET` answers `HEAD` too; the caller leaves out the body.
  package func match(_ method: HTTPRequest.Method, _ path: String) -> Match {
    let segments = Self.segments(of: path)
    let matches = table.compactMap { name, candidate in
      Self.capture(candidate.segments, in: segments).map { (name: name, candidate: candidate, id: $0) }
    }
    // A path that is written out wins over one with a name in braces.
    guard let match = matches.first(where: { $0.id.isEmpty }) ?? matches.first else { return .unknown }
    if let route = match.candidate.routes[method == .head ? .get : method] {
      return .found(route, id: match.id.isEmpty ? nil : match.id)
    }
    var allowed = Array(match.candidate.routes.keys)
    if match.candidate.routes[.get] != nil { allowed.append(.head) }
    return .wrongMethod(match.name, allowed: allowed.sorted { $0.rawValue < $1.rawValue })
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
