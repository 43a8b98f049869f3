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
    var reader = OperationReader(fields: fields)
    reader.refuseUnknown()
    ids = reader.ids()
    statuses = reader.statuses(operation)
    filter.owner = reader.parsed("owner", "expected user:ID or org:ID") { Owner($0) }
    filter.repository = reader.text("repo")
    filter.errorCode = reader.text("errorCode")
    filter.since = reader.parsed("since", ListQuery.expectedBound) { TimeBound($0) }?.instant(now: now)
    filter.until = reader.parsed("until", ListQuery.expectedBound) { TimeBound($0) }?.instant(now: now)
    reason = reader.text("reason")
    isDryRun = reader.isSet("dryRun")
    expected = reader.count("expected")
    let isFiltered = !statuses.isEmpty || filter != ReviewFilter()
    if ids.isEmpty == !isFiltered, reader.faults.isEmpty {
      reader.faults.append(
        isFiltered ? "ids: give ids or a filter, not both" : "give ids, or a filter such as owner or since")
    }
    guard reader.faults.isEmpty else {
      throw HTTPFault(.unprocessableContent, "not a request to \(operation.rawValue)", faults: reader.faults)
    }
  }
}

/// Takes typed fields out of the body and collects what is wrong with them.
private struct OperationReader {
  let fields: [String: JSONValue]
  var faults: [String] = []

  mutating func refuseUnknown() {
    for name in fields.keys.sorted() where !OperationBody.names.contains(name) {
      faults.append("unknown field \"\(name.prefix(40))\": expected \(OperationBody.names.joined(separator: ", "))")
    }
  }

  mutating func text(_ name: String) -> String? {
    switch fields[name] {
    case nil, .null?: return nil
    case .string(let text)? where !text.isEmpty && text.utf8.count <= 512 && !text.utf8.contains(0): return text
    case .some:
      faults.append("\(name): expected a text of 1 to 512 bytes")
      return nil
    }
  }

  mutating func parsed<Value>(_ name: String, _ expected: String, _ parse: (String) -> Value?) -> Value? {
    guard let text = text(name) else { return nil }
    if let value = parse(text) { return value }
    faults.append("\(name): \(expected)")
    return nil
  }

  mutating func isSet(_ name: String) -> Bool {
    switch fields[name] {
    case nil, .null?: return false
    case .bool(let value)?: return value
    case .some:
      faults.append("\(name): expected true or false")
      return false
    }
  }

  mutating func count(_ name: String) -> Int? {
    switch fields[name] {
    case nil, .null?: return nil
    case .integer(let number)? where number >= 0: return Int(number)
    case .some:
      faults.append("\(name): expected a whole number from 0")
      return nil
    }
  }

  /// One text, or an array of texts.
  private mutating func texts(_ name: String) -> [String] {
    guard case .array(let values)? = fields[name] else { return text(name).map { [$0] } ?? [] }
    let texts = values.compactMap { value -> String? in
      if case .string(let text) = value { return text }
      return nil
    }
    if texts.count < values.count { faults.append("\(name): expected texts") }
    return texts
  }

  mutating func statuses(_ operation: ReviewOperation) -> [ReviewStatus] {
    texts("status").compactMap { text in
      if let status = ReviewStatus(rawValue: text), operation.statuses.contains(status) { return status }
      let names = operation.statuses.map(\.rawValue).joined(separator: ", ")
      faults.append("status: expected \(names)")
      return nil
    }
  }

  mutating func ids() -> [IDPrefix] {
    let texts = texts("ids")
    if texts.count > OperationBody.idCountMax { faults.append("ids: more than \(OperationBody.idCountMax)") }
    return texts.prefix(OperationBody.idCountMax).compactMap { text in
      if let prefix = IDPrefix(text) { return prefix }
      faults.append("ids: \"\(text.prefix(40))\" is no id, nor the first four digits or more of one")
      return nil
    }
  }
}
