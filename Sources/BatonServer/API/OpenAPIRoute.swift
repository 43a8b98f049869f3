internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Telemetry

/// `GET /api/openapi.json`: the API as an OpenAPI 3.1 document, for client generators. It holds no data, so it needs no token.
struct OpenAPIRoute: Sendable {
  var routes: [Route] {
    [
      Route(.get, .openAPI, access: .open) { _ in
        .content(
          .ok, type: "application/json; charset=utf-8", ByteBuffer(bytes: PackageResources.openapi_json))
      }
    ]
  }
}
