internal import FoundationEssentials
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import ReviewStore
internal import Reviews
internal import Telemetry
internal import WorkerClient

/// The pages for people, their stream, and their buttons.
struct DashboardRoutes: Sendable {
  private let store: ReviewStore
  private let gate: Gate
  private let reader: TopicReader
  private let feed: LiveFeed

  /// How long a page, or a look of the stream, waits for the database and the broker.
  private static let readTimeout = Duration.seconds(5)
  /// A form has a token, or an owner's name, and a path.
  private static let formByteCountMax = 64 * 1_024

  /// - Parameter worker: whose timeout bounds how long a review's page waits for it; nil where none is set.
  init(
    store: ReviewStore, figures: LoadFigures, deadLetters: @escaping PeekDeadLetters, worker: WorkerClient?,
    access: AccessRule, policy: WatchPolicy, logger: Logger
  ) {
    self.store = store
    gate = Gate(access: access)
    let reader = TopicReader(
      store: store, overview: OverviewReader(store: store, figures: figures, policy: policy),
      reviews: ReviewReader(store: store, worker: worker, policy: policy),
      letters: DeadLetterReader(store: store, count: { await figures.queue()?.dead }, peek: deadLetters),
      policy: policy, logger: logger)
    self.reader = reader
    feed = LiveFeed { await Self.snapshot(of: $0, reader) }
  }

  private static func snapshot(of topic: Topic, _ reader: TopicReader) async -> Snapshot {
    await within(readTimeout) { await reader.snapshot(of: topic) }
      ?? Snapshot(fault: "Postgres or the broker does not answer in time")
  }

  var routes: [Route] {
    [
      page(.dashboard, front), page(.reviewList, list), page(.reviewPage, show), page(.deadLetters, letters),
      Route(.get, .live, access: .open, handle: live),
      action(.cancelPage, cancel), action(.retryPage, retry), action(.pauseOwner, pause), action(.resumeOwner, resume),
      Route(.post, .login, access: .open, fault: FaultPage.response, handle: signIn),
      Route(.get, .login, access: .open, fault: FaultPage.response) { _ in .found("/") },
      action(.logout) { _, _ in "" },
      Route(.get, .asset, access: .open, handle: asset),
    ]
  }

  // MARK: Who may

  private func page(
    _ path: BatonMetrics.HTTPRoute, _ handle: @escaping @Sendable (Call, Visitor) async throws -> Response
  ) -> Route {
    Route(.get, path, access: .open, fault: FaultPage.response) { call in
      switch try gate.admit(call) {
      case .visitor(let visitor): return try await handle(call, visitor)
      case .stranger: return LoginPage.response(next: call.request.uri.string)
      case .arrival: return LoginPage.arrival(at: call.request.uri.string)
      }
    }
  }

  /// A button: the handler gets the button's subject and gives what was done, in a few words.
  private func action(
    _ path: BatonMetrics.HTTPRoute, _ handle: @escaping @Sendable (Call, _ subject: String) async throws -> String
  ) -> Route {
    Route(.post, path, access: .open, fault: FaultPage.response) { call in
      guard case .visitor(let visitor) = try gate.admit(call) else {
        throw HTTPFault(.unauthorized, "your session has ended: sign in again")
      }
      let form = try await form(call, knowing: ["csrf", "back", "subject"])
      try gate.confirm(call, visitor, csrf: form["csrf"])
      let done = try await handle(call, form["subject"] ?? "")
      await feed.refresh()
      if path == .logout { return .found("/", cookie: Gate.signedOutCookie) }
      // The script stays on its page, and only wants to know.
      if call.request.headers[.accept] == "text/plain" {
        return .content(.ok, type: "text/plain; charset=utf-8", ByteBuffer(string: done), headers: Page.headers)
      }
      return .found(LoginPage.local(form["back"] ?? "/"))
    }
  }

  private func form(_ call: Call, knowing names: [String]) async throws -> [String: String] {
    let query = QueryText(
      String(decoding: try await call.body(upTo: Self.formByteCountMax), as: UTF8.self), knowing: names)
    guard query.faults.isEmpty else { throw HTTPFault.malformed("faulty form", faults: query.faults) }
    return query.values
  }

  @Sendable private func signIn(_ call: Call) async throws -> Response {
    try Gate.confirmOrigin(call)
    let form = try await form(call, knowing: ["token", "next"])
    let next = LoginPage.local(form["next"] ?? "/")
    guard let cookie = gate.signIn(form["token"] ?? "", headers: call.request.headers) else {
      return LoginPage.response(next: next, isWrong: true)
    }
    return .found(next, cookie: cookie)
  }

  // MARK: Pages

  @Sendable private func front(_ call: Call, _ visitor: Visitor) async throws -> Response {
    let snapshot = await feed.newest(of: .overview)
    let body: HTML =
      snapshot.fault.map { fault in
        "<section id=\"verdict\"><h1 class=\"bad\">\(fault)</h1><p>This page fills itself as soon as it can.</p></section>"
          + Self.emptySections
      } ?? "\(snapshot.sections.map(\.element))"
    return Page(
      title: "Baton", place: .overview, live: "/live", path: "/", now: snapshot.now, body: body, visitor: visitor
    ).response()
  }

  /// What the stream fills as soon as there is something.
  private static let emptySections: HTML = """
    <section id="load"></section><section id="charts"></section><section id="owners"></section>\
    <section id="failures"></section><section id="processes"></section>
    """

  @Sendable private func list(_ call: Call, _ visitor: Visitor) async throws -> Response {
    let query = try ListQuery(call.query(knowing: ["status", "owner", "repo", "cursor"]))
    let page = try await reader.list(query)
    // Older pages stand still, so that they can be read.
    let live = query.cursor == nil ? "/live?list=yes&\(ListPage.parameters(query))" : ""
    return Page(
      title: "Reviews · Baton", place: .reviews, live: live, path: ListPage.path(query), now: try await store.now(),
      body: page.body, visitor: visitor
    ).response()
  }

  @Sendable private func show(_ call: Call, _ visitor: Visitor) async throws -> Response {
    let id = try call.reviewID()
    guard let detail = try await reader.reviews.read(id) else { throw HTTPFault.unknownReview }
    let page = ReviewPage(detail: detail)
    return Page(
      title: "\(page.title) · Baton", place: .none, live: "/live?review=\(id.lowercase)",
      path: "/reviews/\(id.lowercase)", now: detail.now, body: page.body, visitor: visitor
    ).response()
  }

  @Sendable private func letters(_ call: Call, _ visitor: Visitor) async throws -> Response {
    let snapshot = await Self.snapshot(of: .deadLetters, reader)
    if let fault = snapshot.fault { throw HTTPFault.unavailable(fault) }
    return Page(
      title: "Dead letters · Baton", live: "/live?list=dead-letters", path: "/dead-letters", now: snapshot.now,
      body: "\(DeadLetterPage.head)\(snapshot.sections.map(\.element))", visitor: visitor
    ).response()
  }

  // MARK: The stream

  @Sendable private func live(_ call: Call) async throws -> Response {
    guard case .visitor = try gate.admit(call) else { throw HTTPFault.unauthorized("sign in on the dashboard") }
    var values = try call.query(knowing: ["review", "list", "status", "owner", "repo"])
    if let text = values["review"] {
      guard let id = UUID(uuidString: text) else { throw HTTPFault.unknownReview }
      return EventStream(feed: feed, topic: .review(id)).response()
    }
    switch values.removeValue(forKey: "list") {
    case nil: return EventStream(feed: feed, topic: .overview).response()
    case "dead-letters": return EventStream(feed: feed, topic: .deadLetters).response()
    default: return EventStream(feed: feed, topic: .list(try ListQuery(values))).response()
    }
  }

  // MARK: Buttons

  @Sendable private func cancel(_ call: Call, _ subject: String) async throws -> String {
    try done(try await store.cancel(try call.reviewID()), "cancelled")
  }

  @Sendable private func retry(_ call: Call, _ subject: String) async throws -> String {
    try done(try await store.retry(try call.reviewID()), "retried")
  }

  private func done(_ answer: OperationAnswer, _ verb: String) throws -> String {
    switch answer {
    case .done(_, let attempt): return verb == "retried" ? "Retried as attempt \(attempt)." : "Cancelled."
    case .conflict(let status): throw HTTPFault(.conflict, "a review that is \(status.rawValue) cannot be \(verb)")
    case .unknownReview: throw HTTPFault.unknownReview
    }
  }

  @Sendable private func pause(_ call: Call, _ subject: String) async throws -> String {
    try await set(subject, isPaused: true)
    return "\(subject) is paused; what is queued goes on."
  }

  @Sendable private func resume(_ call: Call, _ subject: String) async throws -> String {
    try await set(subject, isPaused: false)
    return "\(subject) is resumed."
  }

  private func set(_ subject: String, isPaused: Bool) async throws {
    guard let owner = Owner(subject), try await store.setPaused(isPaused, owner) else {
      throw HTTPFault(.notFound, "there is no such owner")
    }
  }

  @Sendable private func asset(_ call: Call) async throws -> Response {
    guard let asset = Asset.all.first(where: { $0.name == call.pathID }) else {
      throw HTTPFault(.notFound, "nothing is here")
    }
    return asset.response(isCurrent: call.request.uri.string == asset.url)
  }
}

extension Response {
  /// Leads to another page of this server by `GET`.
  static func found(_ path: String, cookie: String? = nil) -> Response {
    var headers = Page.headers
    headers[.location] = path
    headers[.cacheControl] = "no-store"
    if let cookie { headers[.setCookie] = cookie }
    return Response(status: .seeOther, headers: headers)
  }
}
