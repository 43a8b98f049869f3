package import HTTPTypes

/// Looks at requests and their answers for a server, for what no single route can see.
package protocol RequestWatch: Sendable {
  /// Looks at a request before its route does.
  /// - Throws: ``HTTPFault`` for a request that is refused without a look at it.
  func willHandle(_ call: Call, on path: RoutePath) throws(HTTPFault)

  /// Looks at the status of the answer.
  /// - Returns: the fault that is answered in its place; nil if the answer stays.
  func didAnswer(_ call: Call, on path: RoutePath, status: HTTPResponse.Status) -> HTTPFault?
}
