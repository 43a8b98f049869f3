internal import Primitives
internal import ReviewStore
internal import Reviews

/// Reviews, newest first, by status, owner, repository, error code, time and words.
struct ReviewListPage: Sendable {
  let query: ListQuery
  let page: BrowsedPage
  /// nil if it is not known.
  var count: MatchCount?
  /// Set if the list is of one owner.
  var owner: OwnerLoad?
  /// By the database's clock.
  let now: Timestamp

  static let limit = 50

  /// The address of a list, as the script and the links name it.
  /// - Parameter expected: how many a button says that it is about; nil if it does not say it exactly.
  static func parameters(
    _ query: ListQuery, cursor: ReviewCursor? = nil, hasCursor: Bool = true, expected: Int? = nil
  ) -> String {
    [
      ("status", query.filter.status?.rawValue), ("owner", query.filter.owner?.description),
      ("repo", query.filter.repository), ("errorCode", query.filter.errorCode), ("since", query.since?.description),
      ("until", query.until?.description), ("search", query.search?.description),
      ("sort", query.sort == .newest ? nil : query.sort.rawValue),
      ("cursor", hasCursor ? (cursor ?? query.cursor)?.description : nil), ("expected", expected.map { "\($0)" }),
    ].compactMap { name, value in value.map { "\(name)=\($0.percentEncoded)" } }.joined(separator: "&")
  }

  static func path(_ query: ListQuery, cursor: ReviewCursor? = nil) -> String {
    let parameters = parameters(query, cursor: cursor)
    return parameters.isEmpty ? "/reviews" : "/reviews?\(parameters)"
  }

  var body: HTML { "<h1>Reviews</h1>\(form)\(sections.map(\.element))" }

  var sections: [Section] { [Section("owner", ownerTable), Section("list", list)] }

  private static let orders: [(ReviewSort, HTML)] = [
    (.newest, "newest first"), (.oldest, "oldest first"), (.lastEnded, "last ended first"),
    (.firstEnded, "first ended first"), (.due, "due first"), (.priority, "priority"),
  ]

  private var form: HTML {
    let orders = Self.orders.map { sort, name -> HTML in
      let selected: HTML = sort == query.sort ? " selected=\"selected\"" : ""
      return "<option value=\"\(sort.rawValue)\"\(selected)>\(name)</option>"
    }
    let statuses = ReviewStatus.allCases.map { status -> HTML in
      let selected: HTML = status == query.filter.status ? " selected=\"selected\"" : ""
      return "<option\(selected)>\(status.rawValue)</option>"
    }
    return """
      <form class="filters" method="get" action="/reviews" role="search">
      <label>Status <select name="status"><option value="">any</option>\(statuses)</select></label>
      <label>Owner <input name="owner" value="\(query.filter.owner?.description ?? "")" placeholder="org:acme"\
       pattern="(user|org):.+" title="user:ID or org:ID" autocapitalize="none" spellcheck="false"/></label>
      <label>Repository <input name="repo" value="\(query.filter.repository ?? "")" placeholder="acme/shop"\
       autocapitalize="none" spellcheck="false"/></label>
      <label>Error code <input name="errorCode" value="\(query.filter.errorCode ?? "")" placeholder="worker_lost"\
       list="error-codes" autocapitalize="none" spellcheck="false"/></label>
      <label>Created since <input name="since" value="\(query.since?.description ?? "")" placeholder="2h, 7d"\
       title="2h, 7d, or 2026-11-28T08:00:00Z" autocapitalize="none" spellcheck="false"/></label>
      <label>Created before <input name="until" value="\(query.until?.description ?? "")" placeholder="1h"\
       title="1h, 7d, or 2026-11-28T08:00:00Z" autocapitalize="none" spellcheck="false"/></label>
      <label>Order <select name="sort">\(orders)</select></label>
      <label>Search <input type="search" name="search" value="\(query.search?.description ?? "")"\
       placeholder="number, id, words of the title" autocapitalize="none" spellcheck="false"/></label>
      <datalist id="error-codes">\(ErrorCode.allCases.map { code -> HTML in "<option value=\"\(code.rawValue)\"></option>" })</datalist>
      <button type="submit" class="primary">Filter</button> <a href="/reviews">Clear</a>
      </form>
      """
  }

  private var ownerTable: HTML {
    guard let owner else { return .none }
    return """
      <table class="owners"><thead><tr><th scope="col">Owner</th><th scope="col">Under way</th>\
      <th scope="col" class="number">Due</th><th scope="col" class="number">Later</th><th scope="col">Oldest due</th>\
      <th scope="col"><span class="unseen">Action</span></th></tr></thead><tbody>\(OverviewPage.row(owner))</tbody></table>
      """
  }

  private var list: HTML {
    let more: HTML =
      page.next.map { next in
        let label: HTML =
          page.isCutShort ? "Look further" : query.sort == .newest ? "Older" : "More"
        return
          "<p class=\"more\"><a rel=\"next\" href=\"\(Self.path(query, cursor: next))\">\(label)</a></p>"
      } ?? HTML.none
    let cut: HTML =
      page.isCutShort
      ? "<p class=\"empty\">Among the \(Reading.grouped(ReviewStore.browseSpan)) reviews looked at, no more match.</p>"
      : ""
    if page.reviews.isEmpty { return page.isCutShort ? cut + more : "<p class=\"empty\">No review matches.</p>" }
    return """
      \(HTML.count(count, "review", "reviews", window: ReviewStore.browseSpan))\(all)
      <table class="reviews"><thead><tr><th scope="col">Status</th><th scope="col">Pull request</th>\
      <th scope="col">Owner</th><th scope="col">Why</th><th scope="col">Changed</th></tr></thead>
      <tbody>\(page.reviews.map(row))</tbody></table>
      \(chosen)\(cut)\(more)\(whole)
      """
  }

  // MARK: Operations

  /// What can be done to at least one review of the page.
  private var operations: [ReviewOperation] {
    ReviewOperation.allCases.filter { operation in
      page.reviews.contains { operation.isPossible(for: $0, now: now) }
    }
  }

  private func canBeChosen(_ review: Review) -> Bool {
    ReviewOperation.allCases.contains { $0.isPossible(for: review, now: now) }
  }

  /// Checks every box of the page; sent with all their ids, so that it also works without the script.
  private var all: HTML {
    let ids = page.reviews.filter(canBeChosen).map(\.id)
    return ids.isEmpty ? .none : "<p>\(HTML.choice(of: ids, "All on this page", isAll: true))</p>"
  }

  /// The buttons for the checked boxes.
  private var chosen: HTML {
    guard !operations.isEmpty else { return .none }
    let buttons = operations.map { operation in
      HTML.button(
        "\(operation.title) the chosen", form: "chosen", path: "/reviews/\(operation.rawValue)",
        kind: operation.kind, confirm: "Press again to \(operation.rawValue) #")
    }
    return "<p class=\"chosen\">\(buttons.joined(" ")) <span class=\"tally\" role=\"status\"></span></p>"
  }

  /// The buttons for all that the filter matches, also on other pages. What a search finds is no filter.
  private var whole: HTML {
    guard let status = query.filter.status, query.search == nil else { return .none }
    let buttons = operations.filter { $0.statuses.contains(status) }.map { operation in
      HTML.button(
        "\(operation.title) all that match", path: "/reviews/\(operation.rawValue)",
        subject: Self.parameters(query, hasCursor: false, expected: expected), kind: "quiet",
        confirm: question(operation, status))
    }
    return "<p class=\"more\">\(buttons)</p>"
  }

  /// What the button for all that match asks: how many they are, also on other pages.
  private func question(_ operation: ReviewOperation, _ status: ReviewStatus) -> String {
    let (one, many) = ("\(status.rawValue) review", "\(status.rawValue) reviews")
    let reviews =
      switch count {
      case .exactly(1)?: "the 1 \(one) that matches"
      case .exactly(let count)?: "all \(Reading.count(count, one, many)) that match"
      case .moreThan(let count)?: "more than \(Reading.count(count, one, many)) that match"
      case .amongNewest(let count)?:
        "all \(Reading.grouped(count)) \(many) that match among the newest \(Reading.grouped(ReviewStore.browseSpan)), and all older ones"
      case nil: "all \(many) that match"
      }
    // Those that are due already match too.
    let some = operation == .release ? "what is due later of " : ""
    let atOnce = expected == nil ? ", the first \(Reading.grouped(OperationRoutes.countMax)) at once" : ""
    return "\(operation.title) \(some)\(reviews), also on other pages\(atOnce)?"
  }

  /// How many match, if that is known exactly.
  private var expected: Int? { if case .exactly(let count)? = count { count } else { nil } }

  private func row(_ review: Review) -> HTML {
    let why = review.errorCode ?? (review.status.isTerminal ? "" : review.statusReason ?? "")
    let name = "\(review.repoFullName) #\(review.prNumber)"
    let box: HTML =
      canBeChosen(review)
      ? HTML.choice(of: [review.id], "<span class=\"unseen\">Choose \(HTML.foreign(name))</span>")
      : operations.isEmpty ? "" : "<span class=\"choose\"></span>"
    return """
      <tr><td>\(box)\(HTML.status(review.status))</td>\
      <th scope="row"><a href="/reviews/\(review.id.lowercase)">\(HTML.foreign(review.prTitle))</a>\
      <small>\(HTML.foreign(name))</small></th>\
      <td>\(HTML.link(to: review.owner))</td>\
      <td>\(why.isEmpty ? HTML.none : HTML.foreign(why))\(review.attempt > 1 ? " <span class=\"tag\">attempt \(review.attempt)</span>" : HTML.none)</td>\
      <td>\(HTML.time(review.updatedAt))</td></tr>
      """
  }
}

extension ReviewOperation {
  /// Of its button.
  var kind: String {
    switch self {
    case .retry: "primary"
    case .release: ""
    case .cancel: "danger"
    }
  }
}
