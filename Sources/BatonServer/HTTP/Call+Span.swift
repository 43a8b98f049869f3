internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Spans
internal import Tracing

extension Call {
  /// Answers in a span of the caller's trace, or of a new one. Only for callers that were recognised: others could fill a collector.
  func traced(
    _ name: SpanName, _ route: RoutePath, _ attributes: @autoclosure () -> SpanAttributes = [:],
    _ answer: (Call, ActiveSpan) async throws -> Response
  ) async throws -> Response {
    guard Spans.isEnabled else { return try await answer(self, .off) }
    let result = await withSpan(name, in: callersTrace, route.attributes(request).with(attributes())) {
      span -> Result<Response, any Error> in
      var call = self
      call.span = span.context
      do {
        let response = try await answer(call, span)
        span.note(response.status)
        return .success(response)
      } catch {
        if let fault = error as? HTTPFault { span.note(fault.status) } else { span.fail("\(type(of: error))") }
        return .failure(error)
      }
    }
    return try result.get()
  }
}

extension RoutePath {
  /// What a span says of a request to it.
  func attributes(_ request: Request) -> SpanAttributes {
    [SpanKey.method: .string(request.method.rawValue), SpanKey.route: .string(template)]
  }
}

extension ActiveSpan {
  /// How the request was answered: what the caller did wrong is no failure of the server's.
  func note(_ status: HTTPResponse.Status) {
    set([SpanKey.statusCode: .int64(Int64(status.code))])
    if status.code >= 500 { fail("\(status.code)") }
  }
}
