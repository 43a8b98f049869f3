internal import Crypto
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Primitives
internal import Reviews

/// The style sheet, the script and the icon. They are embedded in the program's code, because the program is one file that is
/// copied to where it runs: a bundle of resources next to it would be forgotten.
struct Asset: Sendable {
  let name: String
  let type: String
  let content: ByteBuffer
  /// With a hash of the content, so that a browser may keep it indefinitely.
  let url: String

  private init(_ name: String, type: String, _ bytes: [UInt8]) {
    self.name = name
    self.type = type
    content = ByteBuffer(bytes: bytes)
    url = "/assets/\(name)?v=\(SHA256.hash(data: bytes).prefix(6).hexadecimal)"
  }

  static let style = Asset("dashboard.css", type: "text/css; charset=utf-8", PackageResources.dashboard_css)
  static let script = Asset("dashboard.js", type: "text/javascript; charset=utf-8", PackageResources.dashboard_js)
  static let icon = Asset("icon.svg", type: "image/svg+xml", PackageResources.icon_svg)

  static let all = [style, script, icon]

  /// - Parameter isCurrent: whether the caller named this content's hash.
  func response(isCurrent: Bool) -> Response {
    var response = Response.content(.ok, type: type, content, headers: Page.headers)
    response.headers[.cacheControl] = isCurrent ? "public, max-age=31536000, immutable" : "no-cache"
    return response
  }

  /// Answers a request for one of them.
  @Sendable static func answer(_ call: Call) async throws -> Response {
    guard let asset = all.first(where: { $0.name == call.pathID }) else {
      throw HTTPFault(.notFound, "nothing is here")
    }
    return asset.response(isCurrent: call.request.uri.string == asset.url)
  }
}
