internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Primitives
internal import ReviewStore
internal import Reviews

/// Operations on one review, and on reviews of the list: those that are chosen, or all that its filter lets through.
extension DashboardRoutes {
  var operationRoutes: [Route] {
    ReviewOperation.allCases.flatMap { operation in
      [
        action(.operationPage(operation)) { call, _, actor in
          let answer = try await store.operate(operation, try await call.reviewID(store), actor: actor)
          guard case .done(_, let attempt) = answer else { throw HTTPFault(refusing: operation, answer) }
          return switch operation {
          case .retry: "Retried as attempt \(attempt)."
          case .release: "Released: it is due."
          case .cancel: "Cancelled."
          }
        },
        Route(.post, .operationOnListed(operation), access: .open, fault: FaultPage.response) { call in
          try await operate(operation, call)
        },
      ]
    }
  }

  private func operate(_ operation: ReviewOperation, _ call: Call) async throws -> Response {
    let (visitor, form) = try await press(call, knowing: ["id", "isConfirmed"], lists: ["id"])
    guard visitor.right == .act else { throw HTTPFault.readOnly }
    let ids = try await ids(operation, form, isAsked: Self.isScript(call))
    let page = ids.prefix(OperationRoutes.countMax)
    guard Self.isScript(call) || form["isConfirmed"] != nil else {
      let now = try await store.now()
      let reviews = try await store.reviews(Array(page)).filter { operation.isPossible(for: $0, now: now) }
      let question = ListQuestion(
        operation: operation, reviews: reviews, count: ids.count, back: LoginPage.local(form["back"] ?? "/reviews"),
        visitor: visitor)
      return Page(
        title: "\(operation.title) reviews · Baton", item: .reviews, path: question.back, now: now,
        body: question.body, visitor: visitor
      ).response(headers: [.cacheControl: "no-store"])
    }
    var result = OperationResult()
    try await store.operate(operation, each: page, actor: visitor.actor, into: &result)
    let done = Self.summary(operation, result, left: ids.count - page.count)
    return await answer(done, call, form)
  }

  static func summary(_ operation: ReviewOperation, _ result: OperationResult, left: Int) -> String {
    let parts = [
      "\(Reading.count(result.changed.count, "review")) \(operation.participle)",
      result.skipped > 0 ? "\(Reading.grouped(result.skipped)) of another status by now" : nil,
      result.locked.isEmpty ? nil : "\(Reading.grouped(result.locked.count)) locked by another transaction: try again",
      left > 0 ? "\(Reading.grouped(left)) are left: press the button again" : nil,
    ]
    return parts.compactMap { $0 }.joined(separator: ", ") + "."
  }

  /// The reviews that a form is about.
  /// - Parameter isAsked: whether a button has named the number of those that match. Otherwise a question about the very reviews follows.
  private func ids(_ operation: ReviewOperation, _ form: [String: String], isAsked: Bool) async throws -> [UUID] {
    if let chosen = form["id"] { return try Self.chosen(chosen) }
    guard let subject = form["subject"] else { throw HTTPFault(.unprocessableContent, "choose reviews first") }
    let parameters = QueryText(subject, knowing: ListQuery.filterNames + ["expected"])
    guard parameters.faults.isEmpty else { throw HTTPFault.malformed("faulty form", faults: parameters.faults) }
    var values = parameters.values
    let expected = try values.removeValue(forKey: "expected").map { text throws(HTTPFault) in
      guard let count = Int(text) else {
        throw HTTPFault.malformed("faulty form", faults: ["expected: expected a whole number"])
      }
      return count
    }
    let query = try ListQuery(values)
    guard let status = query.filter.status, operation.statuses.contains(status), query.search == nil else {
      throw HTTPFault(
        .unprocessableContent, "a list of one status can be changed as a whole, and not what a search finds")
    }
    let filter = query.filter(now: try await store.now())
    let ids = try await store.matchingIDs(filter, statuses: [status], for: operation)
    guard let expected, isAsked else { return ids }
    // Of those that match, some may be due: the button has named all.
    let found = operation == .release ? try await store.matchCount(filter, search: nil) : .exactly(ids.count)
    // Fewer are no harm: while the system works, some of them go on at any time.
    guard case .exactly(let count) = found, count <= expected else {
      throw HTTPFault(
        .conflict, "by now \(Self.reading(found)) match, not \(Reading.grouped(expected)): nothing was changed")
    }
    return ids
  }

  private static func reading(_ count: MatchCount) -> String {
    switch count {
    case .exactly(let count): Reading.grouped(count)
    case .moreThan(let count): "more than \(Reading.grouped(count))"
    case .amongNewest(let count): "\(Reading.grouped(count)) of the newest"
    }
  }

  /// Each once: the box for all of a page names them too.
  private static func chosen(_ text: String) throws(HTTPFault) -> [UUID] {
    var ids: [UUID] = []
    var seen: Set<UUID> = []
    for part in text.split(separator: ",") {
      guard let id = UUID(uuidString: String(part)) else {
        throw HTTPFault(.unprocessableContent, "\"\(part.prefix(40))\" is not the id of a review")
      }
      if seen.insert(id).inserted { ids.append(id) }
    }
    return ids
  }
}

/// What is asked, without the script, before many reviews are changed: these, and no others.
struct ListQuestion: Sendable {
  let operation: ReviewOperation
  /// Those that allow it.
  let reviews: [Review]
  /// Of all that were chosen, or that match.
  let count: Int
  /// The address of the list.
  let back: String
  let visitor: Visitor

  /// Reviews that are named.
  private static let shownMax = 50

  var body: HTML {
    let title = "\(operation.title) \(Reading.count(reviews.count, "review"))"
    let ids = reviews.map(\.id.lowercase).joined(separator: ",")
    let form = HTML.form(
      "/reviews/\(operation.rawValue)", visitor, back: back, HTML.hidden("id", ids) + HTML.hidden("isConfirmed", "yes"),
      label: "\(title)", kind: operation.kind)
    return """
      <h1>\(reviews.isEmpty ? "No review can be \(operation.participle)" : "\(title)?")</h1>
      \(rest)\(list)\(reviews.isEmpty ? HTML.none : form)<p class="more"><a href="\(back)">Back to the list</a></p>
      """
  }

  private var rest: HTML {
    let rest = count - reviews.count
    return rest > 0
      ? "<p class=\"under\">\(Reading.grouped(rest)) more: of another status by now, or beyond the first \(Reading.grouped(OperationRoutes.countMax)).</p>"
      : ""
  }

  private var list: HTML {
    let items = reviews.prefix(Self.shownMax).map { review -> HTML in
      """
      <li>\(HTML.status(review.status)) \(HTML.link(to: review.id)) \(HTML.foreign("\(review.repoFullName) #\(review.prNumber)"))\
       <small>\(HTML.foreign(review.prTitle))</small></li>
      """
    }
    let more: HTML =
      reviews.count > items.count ? "<li>and \(Reading.grouped(reviews.count - items.count)) more</li>" : ""
    return items.isEmpty ? .none : "<ul class=\"question\">\(items)\(more)</ul>"
  }
}
