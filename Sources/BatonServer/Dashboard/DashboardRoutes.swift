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
  let access: DashboardAccess
  private let proxies: TrustedProxies
  let reader: TopicReader
  let feed: LiveFeed

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

  static func snapshot(of topic: Topic, _ reader: TopicReader) async -> Snapshot {
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
      Route(.get, .asset, access: .open, handle: Asset.answer),
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
    let form = try await readForm(call, knowing: ["csrf", "back", "subject"] + names, lists: lists, upTo: byteCountMax)
    try access.confirm(call, visitor, csrf: form["csrf"])
    return (visitor, form)
  }

  func readForm(
    _ call: Call, knowing names: [String], lists: Set<String> = [], upTo byteCountMax: Int = formByteCountMax
  ) async throws -> [String: String] {
    let query = QueryText(
      String(decoding: try await call.body(upTo: byteCountMax), as: UTF8.self), knowing: names, lists: lists)
    guard query.faults.isEmpty else { throw HTTPFault.malformed("faulty form", faults: query.faults) }
    return query.values
  }

  func log(_ message: Logger.Message, _ call: Call, _ metadata: Logger.Metadata) {
    let client = proxies.client(call.request.headers, call.peer) ?? "unknown"
    call.logger.notice(message, metadata: metadata.merging(["client": "\(client)"]) { $1 })
  }
}
