package import HTTPTypes
package import Hummingbird
package import NIOCore
internal import Primitives

extension Response {
  /// A JSON answer, which no cache keeps.
  package static func json(_ status: HTTPResponse.Status, _ value: some Encodable, headers: HTTPFields = [:])
    -> Response
  {
    guard let text = try? JSONCoding.encode(value) else {
      return Response(status: .internalServerError)
    }
    return .content(status, type: "application/json; charset=utf-8", ByteBuffer(bytes: text), headers: headers)
  }

  /// An answer of any type, which no cache keeps, and no browser takes for another type.
  package static func content(
    _ status: HTTPResponse.Status, type: String, _ body: ByteBuffer, headers: HTTPFields = [:]
  ) -> Response {
    var headers = headers
    headers[.contentType] = type
    headers[.cacheControl] = "no-store"
    headers[.xContentTypeOptions] = "nosniff"
    return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: body))
  }
}
