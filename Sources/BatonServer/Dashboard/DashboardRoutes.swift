internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews
internal import Telemetry
internal import WorkerClient

/// The pages for people, their stream, and their buttons.
struct DashboardRoutes: Sendable {
  let store: ReviewStore
  let administration: Administration
  /// `BATON_OWNER_LIMIT`.
  let ownerLimit: Int
  private let access: DashboardAccess
  private let proxies: TrustedProxies
  private let reader: TopicReader
  private let feed: LiveFeed

  /// How long a page, or a look of the stream, waits for the database and the broker.
  private static let readTimeout = Duration.seconds(5)
  /// How long Postgres may take to say that it is not the one that keeps a page waiting.
  private static let probeTimeout = Duration.seconds(1)
  /// A form has a token, an owner's name and a path.
  static let formByteCountMax = 64 * 1_024
  /// Besides these, the largest configuration, each of whose bytes may be three.
  static let configurationFormByteCountMax = 3 * ReviewConfiguration.byteCountMax + 4_096

  /// - Parameter worker: whose timeout bounds how long a review's page waits for it; nil if none is set.
  init(
    store: ReviewStore, figures: LoadFigures, deadLetters: DeadLetterAccess,
    worker: WorkerClient?,
    access: AccessRule, link: LoginLink?, administration: Administration, policy: WatchPolicy,
    logger: Logger
  ) {
    self.store = store
    self.administration = administration
    ownerLimit = policy.ownerLimit
    self.access = DashboardAccess(access: access, book: StoredSessions(store), link: link)
    proxies = access.proxies
    let reader = TopicReader(
      store: store, overview: OverviewReader(store: store, figures: figures, policy: policy),
      reviews: ReviewDetailReader(store: store, worker: worker, policy: policy),
      letters: DeadLetterReader(store: store, count: { await figures.queue()?.dead }, access: deadLetters),
      policy: policy, logger: logger)
    self.reader = reader
    feed = LiveFeed { await Self.snapshot(of: $0, reader) }
  }

  private static func snapshot(of topic: Topic, _ reader: TopicReader) async -> Snapshot {
    if let snapshot = await within(readTimeout, { await reader.snapshot(of: topic) }) { return snapshot }
    let isAnswered = await within(probeTimeout) { (try? await reader.store.now()) != nil } ?? false
    return Snapshot(
      fault: isAnswered
        ? "The broker does not answer in time"
        : "Postgres cannot be reached, or does not answer in time: until it does, nothing is dispatched and nothing is lost"
    )
  }

  var routes: [Route] {
    [
      page(.dashboard, front), page(.reviewList, list), page(.reviewPage, show), page(.deadLetters, letters),
      page(.deliveriesPage, deliveries),
      Route(.get, .live, access: .open, handle: live),
      action(.pauseOwner, pause), action(.resumeOwner, resume), action(.deleteDeadLetter, deleteDeadLetter),
      Route(.post, .login, access: .open, fault: FaultPage.response, handle: signIn),
      Route(.get, .login, access: .open, fault: FaultPage.response) { [access] _ in
        LoginPage.response(byLink: access.hasLink)
      },
      Route(.post, .logout, access: .open, fault: FaultPage.response, handle: signOut),
      Route(.get, .asset, access: .open, handle: asset),
    ] + operationRoutes + administrationRoutes
  }

  // MARK: Who may

  func page(
    _ path: RoutePath, _ handle: @escaping @Sendable (Call, Visitor) async throws -> Response
  ) -> Route {
    Route(.get, path, access: .open, fault: FaultPage.response) { call in
      switch try await admit(call) {
      case .visitor(let visitor): return try await handle(call, visitor)
      case .stranger: return LoginPage.response(next: call.request.uri.string, byLink: access.hasLink)
      case .arrival: return LoginPage.arrival(at: call.request.uri.string)
      }
    }
  }

  /// As `DashboardAccess` does, for a page: one that waits for Postgres loads itself again.
  private func admit(_ call: Call) async throws(HTTPFault) -> DashboardAccess.Decision {
    do {
      return try await access.admit(call)
    } catch {
      var fault = error
      if fault.status == .serviceUnavailable { fault.headers[.refresh] = "\(HTTPFault.retryAfterSeconds)" }
      throw fault
    }
  }

  /// A button: the handler gets the button's subject and who pressed it, and gives what was done, in a few words.
  func action(
    _ path: RoutePath,
    _ handle: @escaping @Sendable (Call, _ subject: String, _ actor: String) async throws -> String
  ) -> Route {
    Route(.post, path, access: .open, fault: FaultPage.response) { call in
      let (visitor, form) = try await press(call)
      guard visitor.right == .act else { throw HTTPFault.readOnly }
      return await answer(try await handle(call, form["subject"] ?? "", visitor.actor), call, form)
    }
  }

  /// Whether the script has pressed the button: it has asked already, stays on its page, and only wants to know what was done.
  static func isScript(_ call: Call) -> Bool { call.request.headers[.accept] == "text/plain" }

  /// What was done, for the script; without it the page from where the button was pressed.
  func answer(_ done: String, _ call: Call, _ form: [String: String]) async -> Response {
    await feed.refresh()
    if Self.isScript(call) {
      return .content(.ok, type: "text/plain; charset=utf-8", ByteBuffer(string: done), headers: Page.headers)
    }
    return .found(LoginPage.local(form["back"] ?? "/"))
  }

  /// Who has pressed a button of ours, and what it sends.
  /// - Parameters:
  ///   - call: by the button's form.
  ///   - names: of its fields, besides those of every form.
  ///   - lists: those of them that may come repeatedly.
  ///   - byteCountMax: of the form.
  func press(
    _ call: Call, knowing names: [String] = [], lists: Set<String> = [], upTo byteCountMax: Int = formByteCountMax
  ) async throws -> (Visitor, form: [String: String]) {
    guard case .visitor(let visitor) = try await access.admit(call) else {
      throw HTTPFault(.unauthorized, "your session has ended: sign in again")
    }
    let form = try await form(call, knowing: ["csrf", "back", "subject"] + names, lists: lists, upTo: byteCountMax)
    try access.confirm(call, visitor, csrf: form["csrf"])
    return (visitor, form)
  }

  private func form(
    _ call: Call, knowing names: [String], lists: Set<String> = [], upTo byteCountMax: Int = formByteCountMax
  ) async throws -> [String: String] {
    let query = QueryText(
      String(decoding: try await call.body(upTo: byteCountMax), as: UTF8.self), knowing: names, lists: lists)
    guard query.faults.isEmpty else { throw HTTPFault.malformed("faulty form", faults: query.faults) }
    return query.values
  }

  @Sendable private func signIn(_ call: Call) async throws -> Response {
    try DashboardAccess.confirmOrigin(call)
    let form = try await form(call, knowing: ["token", "next"])
    let next = LoginPage.local(form["next"] ?? "/")
    guard let session = try await access.signIn(form["token"] ?? "", call.request.headers) else {
      return LoginPage.response(next: next, byLink: access.hasLink, isWrong: true)
    }
    log("signed in to the dashboard", call, ["right": session.right == .act ? "act" : "read"])
    return .found(next, headers: [.setCookie: session.cookie])
  }

  /// Ends the visitor's session, or everyone's. What the browser has stored of these pages goes too; its other cookies of this domain
  /// are not ours.
  @Sendable private func signOut(_ call: Call) async throws -> Response {
    let (visitor, form) = try await press(call)
    let isEveryone = form["subject"] == "everyone"
    if isEveryone {
      guard visitor.right == .act else { throw HTTPFault.readOnly }
      try await access.signOutEveryone()
    } else if let session = visitor.session {
      try await access.signOut(session)
    }
    log("signed out of the dashboard", call, ["actor": "\(visitor.actor)", "sessions": isEveryone ? "all" : "one"])
    await feed.refresh()
    return .found(
      "/", headers: [.setCookie: SessionCookie.removing(call.request.headers), .clearSiteData: "\"cache\""])
  }

  private func log(_ message: Logger.Message, _ call: Call, _ metadata: Logger.Metadata) {
    let client = proxies.client(call.request.headers, call.peer) ?? "unknown"
    call.logger.notice(message, metadata: metadata.merging(["client": "\(client)"]) { $1 })
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
    let query = try ListQuery(call.query(knowing: ListQuery.filterNames + ["cursor"]))
    let page = try await reader.list(query)
    // Older pages stand still, so that they can be read.
    let live = query.cursor == nil ? "/live?list=yes&\(ReviewListPage.parameters(query))" : ""
    return Page(
      title: "Reviews · Baton", place: .reviews, live: live, path: ReviewListPage.path(query), now: page.now,
      body: page.body, visitor: visitor
    ).response()
  }

  @Sendable private func deliveries(_ call: Call, _ visitor: Visitor) async throws -> Response {
    // A form sends its empty fields too.
    let values = try call.query(knowing: WebhookQuery.names).filter { !$0.value.isEmpty }
    let query = try WebhookQuery(values)
    async let count = store.deliveryCount(query.filter)
    let (webhooks, next) = try await store.webhooks(
      query.filter, limit: WebhookListPage.limit, after: query.cursor)
    let page = WebhookListPage(query: query, webhooks: webhooks, next: next, count: try await count)
    return Page(
      title: "Deliveries · Baton", place: .deliveries, path: WebhookListPage.path(query), now: try await store.now(),
      body: page.body, visitor: visitor
    ).response()
  }

  @Sendable private func show(_ call: Call, _ visitor: Visitor) async throws -> Response {
    let id = try await call.reviewID(store)
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
    guard case .visitor(let visitor) = try await access.admit(call) else {
      throw HTTPFault.unauthorized("sign in on the dashboard")
    }
    return EventStream(feed: feed, topic: try topic(call), isReadOnly: visitor.right == .read) {
      try await access.stillAdmits(visitor)
    }.response()
  }

  private func topic(_ call: Call) throws -> Topic {
    var values = try call.query(knowing: ["review", "list"] + ListQuery.filterNames)
    if let text = values["review"] {
      guard let id = UUID(uuidString: text) else { throw HTTPFault.unknownReview }
      return .review(id)
    }
    switch values.removeValue(forKey: "list") {
    case nil: return .overview
    case "dead-letters": return .deadLetters
    default: return .list(try ListQuery(values))
    }
  }

  // MARK: Buttons

  @Sendable private func pause(_ call: Call, _ subject: String, _ actor: String) async throws
    -> String
  {
    try await set(subject, isPaused: true, call, actor)
    return "\(subject) is paused; what is queued goes on."
  }

  @Sendable private func resume(_ call: Call, _ subject: String, _ actor: String) async throws
    -> String
  {
    try await set(subject, isPaused: false, call, actor)
    return "\(subject) is resumed."
  }

  private func set(_ subject: String, isPaused: Bool, _ call: Call, _ actor: String) async throws {
    guard let owner = Owner(subject) else { throw HTTPFault(.notFound, "there is no such owner") }
    try await administration.setPaused(
      isPaused, owner, by: Administration.Operator(actor: actor, logger: call.logger))
  }

  @Sendable private func deleteDeadLetter(_ call: Call, _ subject: String, _ actor: String) async throws -> String {
    let isDeleted: Bool
    do {
      isDeleted = try await reader.letters.delete(subject)
    } catch {
      throw HTTPFault.unavailable("The broker cannot be reached: the dead letter may still be there")
    }
    guard isDeleted else { throw HTTPFault(.notFound, "this dead letter is not there any more") }
    log("a dead letter was deleted", call, ["actor": "\(actor)", "message": "\(subject)"])
    return "Deleted; its review stays as it is."
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
  static func found(_ path: String, headers more: HTTPFields = [:]) -> Response {
    var headers = Page.headers
    headers[.location] = path
    headers[.cacheControl] = "no-store"
    for field in more { headers.append(field) }
    return Response(status: .seeOther, headers: headers)
  }
}

extension HTTPField.Name {
  /// Clear Site Data, 3.1.
  static let clearSiteData = HTTPField.Name(known: "Clear-Site-Data")
}
