internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird

extension Response {
  /// Leads to another page of this server by `GET`.
  static func found(_ path: String, headers more: HTTPFields = [:]) -> Response {
    var headers = Page.headers
    headers[.location] = path
    headers[.cacheControl] = "no-store"
    for field in more { headers.append(field) }
    return Response(status: .seeOther, headers: headers)
  }
}
