internal import FoundationEssentials
internal import NIOHTTP1
internal import Primitives
internal import Synchronization

/// Whether what answers at a base URL has shown to be the API.
///
/// A wrong URL can answer 404 to everything, in JSON as well. Until there is evidence of the API, its 404 decides against no review.
final class APIEvidence: Sendable {
  private let isFound = Mutex(false)

  var isComplete: Bool { isFound.withLock { $0 } }

  func complete() { isFound.withLock { $0 = true } }

  /// Whether a success is the API's: JSON, and no page.
  static func isAPI(success body: Data) -> Bool {
    let first = body.first { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
    return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
  }

  private struct Refusal: Decodable {
    var documentation_url: String?
  }

  /// Whether a 404 shows by itself that GitHub knows the route and not the resource: it names the route's own page, where an unknown route
  /// has the front page of all. Older versions name none; they are known by their headers.
  static func isAPI(missing headers: HTTPHeaders, _ body: Data) -> Bool {
    guard let page = (try? JSONCoding.decode(Refusal.self, from: body, repairingText: true))?.documentation_url else {
      return headers.contains(name: "x-github-request-id") || headers.contains(name: "x-ratelimit-remaining")
    }
    guard page.contains("github") else { return false }
    let path = page.split(separator: "/", omittingEmptySubsequences: true).drop { $0 != "rest" && $0 != "v3" }
    return path.count > 1
  }
}
