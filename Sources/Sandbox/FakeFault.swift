/// What goes wrong on purpose, for which calls, and how often. Also the JSON of `POST /_control`.
package struct FakeFault: Sendable, Codable, Equatable {
  /// Only calls of this route; nil for all.
  package var route: FakeRoute?
  /// Only calls whose path contains this; nil for all.
  package var path: String?
  /// For how many calls; nil until it is cleared.
  package var times: Int?
  /// Answers with this status instead, and does nothing else.
  package var status: Int?
  package var headers: [String: String]?
  package var body: String?
  /// Never answers, until the client leaves or the stand-in stops.
  package var hang: Bool?
  /// Closes the connection in the middle of the body.
  package var cut: Bool?

  package init(
    route: FakeRoute? = nil, path: String? = nil, times: Int? = nil, status: Int? = nil,
    headers: [String: String]? = nil, body: String? = nil, hang: Bool? = nil, cut: Bool? = nil
  ) {
    self.route = route
    self.path = path
    self.times = times
    self.status = status
    self.headers = headers
    self.body = body
    self.hang = hang
    self.cut = cut
  }

  /// GitHub's limit as it shows when the hour is used up.
  package static func rateLimit(route: FakeRoute? = nil, resetAt epochSeconds: Int, times: Int? = nil)
    -> FakeFault
  {
    FakeFault(
      route: route, times: times, status: 403,
      headers: ["x-ratelimit-remaining": "0", "x-ratelimit-reset": String(epochSeconds)],
      body: #"{"message":"API rate limit exceeded"}"#)
  }

  func concerns(_ route: FakeRoute, path: String) -> Bool {
    (self.route == nil || self.route == route) && (self.path == nil || path.contains(self.path ?? ""))
  }
}
