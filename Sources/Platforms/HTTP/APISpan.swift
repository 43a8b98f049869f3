internal import NIOHTTP1
internal import Spans
internal import Tracing

extension APIBase {
  /// What a span says of a call before it is made. The query is left out: it may hold what an owner has written.
  func attributes(of request: APIRequest) -> SpanAttributes {
    let start = request.url.firstRange(of: "://")?.upperBound ?? request.url.startIndex
    let path = request.url[start...].drop { $0 != "/" }.prefix { $0 != "?" && $0 != "#" }
    return [
      SpanKey.method: .string(request.method.rawValue), SpanKey.address: .string(host),
      SpanKey.port: .int64(Int64(port ?? (scheme == "https" ? 443 : 80))), SpanKey.path: .string(String(path)),
    ]
  }
}

extension ActiveSpan {
  /// How the call ended; 304 is no failure.
  func note(status: Int) {
    set([SpanKey.statusCode: .int64(Int64(status))])
    if status >= 400 { fail("\(status)") }
  }
}
