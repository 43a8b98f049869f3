internal import HTTPKit
internal import ReviewStore
internal import Reviews

/// The parameters of `GET /api/reviews` and of the dashboard's list, checked, with every fault named.
struct ListQuery: Sendable, Hashable {
  var filter = ReviewFilter()
  var limit = Self.limitDefault
  var cursor: ReviewCursor?

  static let names = ["status", "owner", "repo", "limit", "cursor"]
  static let limitDefault = 50
  static let limitMax = 1_000
  /// No owner and no repository has a longer name.
  static let textByteCountMax = 512

  /// Every review, from the newest on.
  static let all = ListQuery()

  private init() {}

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
