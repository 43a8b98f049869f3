package import FoundationEssentials
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Primitives
internal import Reviews

/// JSON as this server writes it: keys sorted, slashes plain, so that the same value has the same text.
package enum JSONText {
  /// One line, without a newline.
  /// - Throws: `EncodingError`, for a number that JSON does not have.
  package static func encode(_ value: some Encodable) throws -> Data {
    try JSONCoding.encode(value)
  }
}

extension Response {
  /// A JSON answer that is not cached.
  static func json(_ status: HTTPResponse.Status, _ value: some Encodable, headers: HTTPFields = [:]) -> Response {
    guard let text = try? JSONText.encode(value) else {
      return Response(status: .internalServerError)
    }
    return .content(status, type: "application/json; charset=utf-8", ByteBuffer(bytes: text), headers: headers)
  }

  /// An answer of any type that is not cached, and that no browser takes for another type.
  static func content(
    _ status: HTTPResponse.Status, type: String, _ body: ByteBuffer, headers: HTTPFields = [:]
  ) -> Response {
    var headers = headers
    headers[.contentType] = type
    headers[.cacheControl] = "no-store"
    headers[.xContentTypeOptions] = "nosniff"
    return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: body))
  }
}
