internal import HTTPKit
internal import HTTPTypes

extension Route {
  /// The same route, which answers 503 as long as the server is not open; a page loads itself again.
  func closed(until isOpen: @escaping @Sendable () -> Bool) -> Route {
    let (handle, isPage) = (handle, method == .get && fault != nil)
    return Route(method, path, access: access, fault: fault) { call in
      guard isOpen() else {
        var fault = HTTPFault.unavailable("this server waits for Postgres: try again")
        if isPage { fault.headers[.refresh] = "\(HTTPFault.retryAfterSeconds)" }
        throw fault
      }
      return try await handle(call)
    }
  }
}
