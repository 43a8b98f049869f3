internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Primitives
internal import ReviewStore
internal import Reviews

/// The body of `POST /api/reviews/retry`, `/cancel` and `/release`: which reviews, by a filter or by their ids.
struct OperationBody: Sendable {
  var ids: [IDPrefix] = []
  var statuses: [ReviewStatus] = []
  var filter = ReviewFilter()
  var isDryRun = false
  /// How many the caller expects to match; nil: however many.
  var expected: Int?
  var reason: String?

  static let names = [
    "ids", "status", "owner", "repo", "errorCode", "since", "until", "dryRun", "expected", "reason",
  ]
  static let idCountMax = 1_000

  /// - Parameter now: by the database's clock; for bounds such as `2h`.
  /// - Throws: `HTTPFault`: 400 for what is no JSON object, 422 for one with faulty fields.
  init(_ json: Data, for operation: ReviewOperation, now: Timestamp) throws(HTTPFault) {
    guard case .object(let fields)? = try? JSONValue(json: json) else {
      throw .malformed("expected a JSON object with a filter or ids, as in {\"status\":\"failed\",\"since\":\"2h\"}")
    }
    var reader = FieldReader(fields, knowing: Self.names)
    ids = reader.ids()
    statuses = reader.statuses(operation)
    filter.owner = reader.parsed("owner", "expected user:ID or org:ID") { Owner($0) }
    filter.repository = reader.filledText("repo")
    filter.errorCode = reader.filledText("errorCode")
    filter.since = reader.parsed("since", ListQuery.expectedBound) { TimeBound($0) }?.instant(now: now)
    filter.until = reader.parsed("until", ListQuery.expectedBound) { TimeBound($0) }?.instant(now: now)
    reason = reader.filledText("reason")
    isDryRun = reader.flag("dryRun") ?? false
    expected = reader.count("expected")
    let isFiltered = !statuses.isEmpty || filter != ReviewFilter()
    if ids.isEmpty == !isFiltered, reader.faults.isEmpty {
      reader.faults.append(
        isFiltered ? "ids: give ids or a filter, not both" : "give ids, or a filter such as owner or since")
    }
    try reader.check("a request to \(operation.rawValue)")
  }
}

extension FieldReader {
  fileprivate mutating func statuses(_ operation: ReviewOperation) -> [ReviewStatus] {
    texts("status").compactMap { text in
      if let status = ReviewStatus(rawValue: text), operation.statuses.contains(status) { return status }
      let names = operation.statuses.map(\.rawValue).joined(separator: ", ")
      faults.append("status: expected \(names)")
      return nil
    }
  }

  fileprivate mutating func ids() -> [IDPrefix] {
    let texts = texts("ids")
    if texts.count > OperationBody.idCountMax { faults.append("ids: more than \(OperationBody.idCountMax)") }
    return texts.prefix(OperationBody.idCountMax).compactMap { text in
      if let prefix = IDPrefix(text) { return prefix }
      faults.append("ids: \"\(text.prefix(40))\" is no id, nor the first four digits or more of one")
      return nil
    }
  }
}
