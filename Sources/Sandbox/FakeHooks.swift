internal import FoundationEssentials
internal import HTTPTypes

/// One attempt of the fake GitHub to deliver a webhook of the app.
package struct FakeWebhook: Sendable, Equatable {
  package var id: Int
  /// The same for all attempts of one event.
  package var guid: String
  package var event: String
  package var body: String
  /// Seconds since 1970.
  package var deliveredAt: Int
  package var isRedelivery: Bool
  /// What the receiver answered; 0 for nothing.
  package var status: Int
}

/// The app's webhooks: events that are delivered, and those that can be delivered again.
struct FakeHooks: Sendable {
  let state: FakeState
  let api: String

  /// Delivers an event, and remembers the attempt.
  func deliver(_ event: String, _ body: String, guid: String, isRedelivery: Bool) async {
    let receive = state.withValues { $0.receiveHook }
    let status = await receive?(event, body) ?? 0
    state.withValues { values in
      values.deliveries.append(
        FakeWebhook(
          id: 1_000_000 + values.deliveries.count, guid: guid, event: event, body: body,
          deliveredAt: Int(Date().timeIntervalSince1970), isRedelivery: isRedelivery, status: status))
    }
  }

  /// `GET /app/hook/deliveries`: newest first, with a cursor for the older ones.
  func list(_ query: [String: String]) -> FakeAnswer {
    let size = min(max(query["per_page"].flatMap { Int($0) } ?? 30, 1), 100)
    let all = state.withValues { $0.deliveries }
    let older = query["cursor"].flatMap { Int($0) }.map { cursor in all.filter { $0.id < cursor } } ?? all
    let page = older.suffix(size)
    let items = page.reversed().map { delivery in
      """
      {"id":\(delivery.id),"guid":"\(delivery.guid)","delivered_at":"\(Self.time(delivery.deliveredAt))",\
      "redelivery":\(delivery.isRedelivery),"duration":0.1,"status":"\(delivery.status == 0 ? "failed to connect" : "\(delivery.status)")",\
      "status_code":\(delivery.status),"event":"\(delivery.event)","action":null,"installation_id":1,"repository_id":1}
      """
    }
    var answer = FakeAnswer(json: "[\(items.joined(separator: ","))]")
    if let last = page.first, older.count > page.count {
      answer.headers["link"] = "<\(api)/app/hook/deliveries?per_page=\(size)&cursor=\(last.id)>; rel=\"next\""
    }
    return answer
  }

  /// `POST /app/hook/deliveries/{id}/attempts`.
  func redeliver(_ id: Int) async -> FakeAnswer {
    guard let delivery = state.withValues({ $0.deliveries.first { $0.id == id } }) else { return .notFound }
    await deliver(delivery.event, delivery.body, guid: delivery.guid, isRedelivery: true)
    return FakeAnswer(status: 202, json: "{}")
  }

  private static func time(_ seconds: Int) -> String {
    Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
  }
}

/// Lists of repositories and open pull requests, and the rights of people.
struct FakeLists: Sendable {
  let state: FakeState
  let api: String

  func answer(_ call: FakeCall, path: String, query: [String: String]) -> FakeAnswer {
    let page = FakePage(query: query, sizeDefault: 30)
    switch call.route {
    case .githubInstallationRepositories:
      let names = state.withValues { $0.openPulls.keys.sorted() }
      let items = page.slice(names).map { #"{"id":1,"full_name":"\#($0)","archived":false,"open_issues_count":1}"# }
      return paged(
        #"{"total_count":\#(names.count),"repositories":[\#(items.joined(separator: ","))]}"#, page, path, names.count)
    case .githubPulls, .gitlabMergeRequests:
      let pulls = state.withValues { $0.openPulls[call.repository] ?? [] }
      return paged("[\(page.slice(pulls).joined(separator: ","))]", page, path, pulls.count)
    case .githubPermission:
      let login = path.split(separator: "/").dropLast().last.map { String($0) } ?? ""
      let permission = state.withValues { $0.permissions[login] ?? "read" }
      return FakeAnswer(json: #"{"permission":"\#(permission)","user":{"login":"\#(login)"}}"#)
    case .gitlabMember:
      guard let level = state.withValues({ $0.permissions["\(call.number)"].flatMap { Int($0) } }) else {
        return FakeAnswer(status: 404, json: #"{"message":"404 Not found"}"#)
      }
      return FakeAnswer(json: #"{"id":\#(call.number),"access_level":\#(level)}"#)
    default: return .notFound
    }
  }

  private func paged(_ json: String, _ page: FakePage, _ path: String, _ count: Int) -> FakeAnswer {
    var answer = FakeAnswer(json: json)
    answer.headers["link"] = page.link(url: api + path, count: count)
    return answer
  }
}

// MARK: What a test can set and see

extension FakePlatform {
  /// Where the app's webhooks go; returns the answer's status, 0 for none.
  package typealias ReceiveHook = @Sendable (_ event: String, _ body: String) async -> Int

  /// Sends the app's webhooks somewhere from now on.
  package func setHook(_ receive: @escaping ReceiveHook) { state.withValues { $0.receiveHook = receive } }

  /// Delivers an event to the app, as GitHub does: once, whatever the answer.
  package func deliver(_ event: String, _ body: String, guid: String = UUID().uuidString) async {
    await FakeHooks(state: state, api: "").deliver(event, body, guid: guid, isRedelivery: false)
  }

  /// The attempts so far, oldest first.
  package var deliveries: [FakeWebhook] { state.withValues { $0.deliveries } }

  /// The open pull requests of a repository, or merge requests of a project by its number, each as JSON text.
  package func setOpenPullRequests(_ pulls: [String], of repository: String) {
    state.withValues { $0.openPulls[repository] = pulls }
  }

  /// What a person may do: GitHub's permission by login, or GitLab's access level by the user's number.
  package func setPermission(_ permission: String, of person: String) {
    state.withValues { $0.permissions[person] = permission }
  }

  /// Renames a repository: calls of the old name are redirected, reading ones with 301, writing ones with 307.
  package func rename(_ old: String, to new: String) { state.withValues { $0.renamed[old] = new } }
}
