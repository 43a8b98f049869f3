internal import HTTPKit
internal import HTTPTypes
internal import Logging
internal import ReviewStore
internal import Reviews

/// Reads what a topic shows.
struct TopicReader: Sendable {
  let store: ReviewStore
  let overview: OverviewReader
  let reviews: ReviewDetailReader
  let letters: DeadLetterReader
  let policy: WatchPolicy
  let logger: Logger

  /// How a topic looks now; nil if the time was over.
  func snapshot(of topic: Topic) async -> Snapshot? {
    do {
      switch topic {
      case .overview:
        let read = try await overview.read()
        return Snapshot(now: read.now, sections: OverviewPage(overview: read).sections)
      case .review(let id):
        guard let detail = try await reviews.read(id) else { return Snapshot(fault: "this review is gone") }
        return Snapshot(now: detail.now, sections: ReviewPage(detail: detail).sections)
      case .list(let query):
        let page = try await list(query)
        return Snapshot(now: try await store.now(), sections: page.sections)
      case .deadLetters:
        let view = try await letters.read()
        return Snapshot(now: view.now, sections: DeadLetterPage(view: view).sections)
      }
    } catch is CancellationError {
      return nil
    } catch {
      let fault = HTTPFault(error)
      // An outage is shown on the page itself, every two seconds.
      if fault.status != .serviceUnavailable {
        fault.log(error, as: "a page of the dashboard cannot be read", logger, ["topic": "\(topic)"])
      }
      return Snapshot(fault: fault.message)
    }
  }

  /// A page of the list of reviews.
  /// - Throws: `StoreFault`.
  func list(_ query: ListQuery) async throws -> ReviewListPage {
    let now = try await store.now()
    let filter = query.filter(now: now)
    // At the same time: the page and the count may each look at thousands of rows.
    async let page = page(query, filter)
    async let count = count(query, filter)
    async let owner = owner(query)
    return ReviewListPage(
      query: query, page: try await page, count: try await count, owner: try await owner, now: now)
  }

  private func page(_ query: ListQuery, _ filter: ReviewFilter) async throws -> BrowsedPage {
    let (limit, cursor) = (ReviewListPage.limit, query.cursor)
    return query.sort == .newest
      ? try await store.browse(filter, search: query.search, limit: limit, after: cursor)
      : try await store.sorted(filter, by: query.sort, limit: limit, after: cursor)
  }

  private func owner(_ query: ListQuery) async throws -> OwnerLoad? {
    guard let owner = query.filter.owner else { return nil }
    return try await store.load(of: owner, ownerLimit: policy.ownerLimit)
  }

  /// How many match; nil if the order leaves some of them out, or a number or an id is looked for.
  private func count(_ query: ListQuery, _ filter: ReviewFilter) async throws -> MatchCount? {
    let hasAll = query.sort.statuses == ReviewStatus.allCases || filter.status != nil && query.sort != .due
    guard hasAll, query.search?.isKey != true else { return nil }
    return try await store.matchCount(filter, search: query.search)
  }
}
