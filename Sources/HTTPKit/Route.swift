package import HTTPTypes
package import Hummingbird

/// One method of one path, who may call it, and what it answers.
package struct Route: Sendable {
  /// Who may call a route.
  package enum Access: Sendable {
    /// Every caller who reaches the port; the handler may have a rule of its own.
    case open
    /// Those whom the server's ``AccessControl`` lets in.
    case api
  }

  package let path: RoutePath
  package let method: HTTPRequest.Method
  package let access: Access
  /// How this route shows a fault: in JSON, unless it is for people. nil for the server's own way.
  package let fault: (@Sendable (HTTPFault) -> Response)?
  /// - Throws: ``HTTPFault``, or any error, which becomes the fault that it stands for.
  package let handle: @Sendable (Call) async throws -> Response

  package init(
    _ method: HTTPRequest.Method, _ path: RoutePath, access: Access,
    fault: (@Sendable (HTTPFault) -> Response)? = nil, handle: @escaping @Sendable (Call) async throws -> Response
  ) {
    self.path = path
    self.method = method
    self.access = access
    self.fault = fault
    self.handle = handle
  }
}
