internal import HTTPKit
internal import Primitives
internal import ReviewStore
internal import Reviews

/// The parameters of `GET /api/reviews` and of the dashboard's list, checked, with every fault named.
struct ListQuery: Sendable, Hashable {
  var filter = ReviewFilter()
  /// Bounds of the creation.
  var since: TimeBound?
  var until: TimeBound?
  var limit = Self.limitDefault
  var cursor: ReviewCursor?

  /// What the reviews have to be found by.
  var search: ReviewSearch?
  var sort = ReviewSort.newest

  static let filterNames = [
    "status", "owner", "repo", "errorCode", "since", "until", "search", "sort",
  ]
  static let names = filterNames + ["limit", "cursor"]
  static let limitDefault = 50
  static let limitMax = 1_000
  /// No owner and no repository has a longer name.
  static let textByteCountMax = 512

  /// Every review, from the newest on.
  static let all = ListQuery()

  static let expectedBound = "expected an RFC 3339 time or a span before now, as in 2026-11-28T08:00:00Z or 2h"

  static let expectedSort =
    "expected \(ReviewSort.allCases.map(\.rawValue).joined(separator: ", "))"

  private init() {}

  /// What it asks for, by the database's clock.
  func filter(now: Timestamp) -> ReviewFilter {
    var filter = filter
    filter.since = since?.instant(now: now)
    filter.until = until?.instant(now: now)
    return filter
  }

  /// - Throws: `HTTPFault` 400.
  init(_ values: [String: String]) throws(HTTPFault) {
    var faults: [String] = []
    if let text = values["status"] {
      filter.status = ReviewStatus(rawValue: text)
      if filter.status == nil {
        faults.append("status: expected \(ReviewStatus.allCases.map(\.rawValue).joined(separator: ", "))")
      }
    }
    if let text = values["owner"] {
      filter.owner = text.utf8.count <= Self.textByteCountMax ? Owner(text) : nil
      if filter.owner == nil { faults.append("owner: expected user:ID or org:ID") }
    }
    if let text = values["repo"] {
      filter.repository = text
      if text.utf8.count > Self.textByteCountMax { faults.append("repo: longer than \(Self.textByteCountMax) bytes") }
    }
    if let text = values["errorCode"] {
      filter.errorCode = text
      if text.utf8.count > Self.textByteCountMax {
        faults.append("errorCode: longer than \(Self.textByteCountMax) bytes")
      }
    }
    since = values["since"].flatMap { TimeBound($0) }
    until = values["until"].flatMap { TimeBound($0) }
    for (name, bound) in [("since", since), ("until", until)] where bound == nil && values[name] != nil {
      faults.append("\(name): \(Self.expectedBound)")
    }
    if let text = values["search"] {
      search = ReviewSearch(text)
      if search == nil { faults.append("search: expected 1 to \(ReviewSearch.byteCountMax) bytes of text") }
    }
    if let text = values["sort"] {
      if let known = ReviewSort(rawValue: text) {
        sort = known
      } else {
        faults.append("sort: \(Self.expectedSort)")
      }
      if let status = filter.status, !sort.statuses.contains(status) {
        faults.append(
          "sort: \(text) is an order of \(sort.statuses.map(\.rawValue).joined(separator: ", ")) reviews only"
        )
      }
      if search != nil, sort != .newest {
        faults.append("sort: what a search finds is ordered by its creation")
      }
    }
    if let text = values["limit"] {
      limit = Int(text) ?? 0
      if !(1...Self.limitMax).contains(limit) {
        faults.append("limit: expected a whole number from 1 to \(Self.limitMax)")
      }
    }
    if let text = values["cursor"] {
      cursor = Self.cursor(text)
      if cursor == nil { faults.append("cursor: expected the nextCursor of an earlier page") }
    }
    guard faults.isEmpty else { throw .malformed("faulty query", faults: faults) }
  }

  /// Only a time of this or the coming millennia: one at the edge of what 64 bits hold cannot be sent to Postgres.
  private static func cursor(_ text: String) -> ReviewCursor? {
    guard let microseconds = text.split(separator: "_").first.flatMap({ Int64($0) }),
      (0...253_402_300_800_000_000).contains(microseconds)
    else { return nil }
    return ReviewCursor(text)
  }
}
