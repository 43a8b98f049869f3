import HTTPKit
import HTTPTypes
import Hummingbird
import ReviewStore
import Telemetry
import Testing

@testable import BatonServer

@Suite("Route table")
struct RouteTableTests {
  private static func route(_ method: HTTPRequest.Method, _ path: RoutePath) -> Route {
    Route(method, path, access: .open) { _ in Response(status: .ok) }
  }

  private let table = RouteTable([
    route(.get, .dashboard), route(.get, .reviews), route(.post, .reviews), route(.get, .review),
    route(.post, .operation(.cancel)), route(.get, .stats), route(.post, .callback),
  ])

  @Test(
    "a path finds its template, and what stands at the template's name",
    arguments: [
      ("GET", "/", RoutePath.dashboard, nil),
      ("HEAD", "/", .dashboard, nil),
      ("GET", "/api/reviews", .reviews, nil),
      ("POST", "/api/reviews", .reviews, nil),
      ("GET", "/api/reviews/abc", .review, "abc"),
      ("HEAD", "/api/reviews/abc", .review, "abc"),
      ("POST", "/api/reviews/abc/cancel", .operation(.cancel), "abc"),
      ("POST", "/api/internal/code-review-status/abc", .callback, "abc"),
    ] as [(String, String, RoutePath, String?)])
  func found(method: String, path: String, expected: RoutePath, id: String?) throws {
    guard case .found(let route, let captured) = table.match(try #require(HTTPRequest.Method(method)), path) else {
      Issue.record("\(method) \(path) was not found")
      return
    }
    #expect(route.path == expected)
    #expect(captured == id)
  }

  @Test("a path that is written out wins over one with a name in braces, with every method")
  func writtenOut() {
    let cancel = RoutePath.operationOnMany(.cancel)
    // Two orders: the table itself has none.
    for routes in [[RoutePath.review, cancel], [cancel, .review]] {
      let table = RouteTable(routes.map { Self.route($0 == .review ? .get : .post, $0) })
      guard case .found(let route, nil) = table.match(.post, "/api/reviews/cancel") else {
        Issue.record("not found")
        continue
      }
      #expect(route.path == cancel)
      guard case .wrongMethod(let found, allowed: [.post]) = table.match(.get, "/api/reviews/cancel") else {
        Issue.record("another path was found")
        continue
      }
      #expect(found == cancel)
    }
  }

  @Test(
    "a path has one spelling",
    arguments: [
      "/api/reviews/", "//api/reviews", "/api//reviews", "/API/reviews", "/api/reviews/a/b", "/api", "",
      "/%61pi/reviews",
    ])
  func unknown(path: String) {
    // The empty path of `GET  HTTP/1.1` never comes here: Hummingbird makes it "/".
    if case .unknown = table.match(.get, path) { return }
    #expect(path == "", "\(path) was found")
  }

  @Test("a known path with another method names those that it has")
  func wrongMethod() {
    guard case .wrongMethod(let route, let allowed) = table.match(.delete, "/api/reviews") else {
      Issue.record("not refused as a wrong method")
      return
    }
    #expect(route == .reviews)
    #expect(allowed == [.get, .head, .post])
  }
}

@Suite("Query text")
struct QueryTextTests {
  @Test("values are decoded; a plus is a space, an empty value is none")
  func values() {
    let query = QueryText("owner=org%3Aa+b&repo=&limit=5&&", knowing: ["owner", "repo", "limit"])
    #expect(query.values == ["owner": "org:a b", "limit": "5"])
    #expect(query.faults.isEmpty)
  }

  @Test("a list may come in several parts, and other parameters may not")
  func lists() {
    let ids = (0..<100).map { "id=\($0)" }.joined(separator: "&")
    let query = QueryText("limit=5&\(ids)&id=a%2Cb", knowing: ["limit", "id"], lists: ["id"])
    #expect(query.faults.isEmpty && query.values["id"]?.split(separator: ",").count == 102)
    #expect(QueryText("limit=5&limit=5", knowing: ["limit", "id"], lists: ["id"]).faults.count == 1)
    #expect(!QueryText(ids, knowing: ["id"]).faults.isEmpty)
  }

  @Test(
    "what cannot be read is a fault, each by itself",
    arguments: [
      ("repo=%", 1), ("repo=%0", 1), ("repo=%zz", 1), ("repo=%00", 1), ("repo=%ff", 1), ("repo=a&repo=b", 1),
      ("state=x", 1),
      ("state=x&repo=%00&limit=%", 3), ("=&=", 2),
    ])
  func faults(text: String, count: Int) {
    #expect(QueryText(text, knowing: ["owner", "repo", "limit"]).faults.count == count)
  }
}

@Suite("Query of a list")
struct ListQueryTests {
  @Test("every fault is named at once")
  func everyFault() throws {
    let error = #expect(throws: HTTPFault.self) {
      try ListQuery(["status": "open", "owner": "acme", "limit": "0", "cursor": "1_2"])
    }
    #expect(error?.status == .badRequest)
    #expect(error?.faults.map { $0.prefix { $0 != ":" } } == ["status", "owner", "limit", "cursor"])
  }

  @Test(
    "a cursor at the edge of what 64 bits hold is refused rather than sent to Postgres",
    arguments: ["-9223372036854775808", "9223372036854775807", "-1", "99999999999999999999"])
  func cursorEdges(microseconds: String) {
    #expect(throws: HTTPFault.self) {
      try ListQuery(["cursor": "\(microseconds)_0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11"])
    }
  }

  @Test("a cursor of an earlier page is taken")
  func cursor() throws {
    let query = try ListQuery(["cursor": "1795000000000000_0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11", "limit": "1000"])
    #expect(query.cursor?.description == "1795000000000000_0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11")
    #expect(query.limit == 1000)
  }
}
