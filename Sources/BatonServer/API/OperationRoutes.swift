internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Telemetry

/// An operation on many reviews by one request.
struct OperationRoutes: Sendable {
  let store: ReviewStore

  /// The most reviews that one request changes; the answer says how many are left.
  static let countMax = 1_000

  var routes: [Route] {
    ReviewOperation.allCases.map { operation in
      Route(.post, .operationOnMany(operation), access: .api) { try await operate(operation, $0) }
    }
  }

  /// What was done, as `baton retry --json` prints it.
  private struct OperationCountsBody: Encodable {
    var matched: Int
    var changed: Int
    var skipped: Int
    var locked: Int
    var remaining: Int
    var ids: [String]
  }

  private func operate(_ operation: ReviewOperation, _ call: Call) async throws -> Response {
    let body = try OperationBody(try await call.body(), for: operation, now: try await store.now())
    let ids = try await ids(body, operation)
    if let expected = body.expected, expected != ids.count {
      throw HTTPFault(.conflict, "\(ids.count) reviews match, not \(expected): nothing was changed")
    }
    guard !body.isDryRun else {
      return answer(OperationResult(), of: ids.count, shown: Array(ids.prefix(Self.countMax)), left: ids.count)
    }
    var result = OperationResult()
    try await store.operate(
      operation, each: ids.prefix(Self.countMax), reason: body.reason, actor: call.caller?.actor, into: &result)
    return answer(result, of: ids.count, shown: result.changed, left: max(0, ids.count - Self.countMax))
  }

  private func answer(_ result: OperationResult, of matched: Int, shown: [UUID], left: Int) -> Response {
    .json(
      .ok,
      OperationCountsBody(
        matched: matched, changed: result.changed.count, skipped: result.skipped, locked: result.locked.count,
        remaining: left, ids: shown.map(\.lowercase)))
  }

  /// The reviews that the body is about, each once.
  /// - Throws: `HTTPFault` 404 for an id that no review has, 409 for the start of several.
  private func ids(_ body: OperationBody, _ operation: ReviewOperation) async throws -> [UUID] {
    var ids: [UUID] = []
    var seen: Set<UUID> = []
    for prefix in body.ids {
      switch try await store.identify(prefix) {
      case .one(let id): if seen.insert(id).inserted { ids.append(id) }
      case .unknown: throw HTTPFault(.notFound, "no review has an id that begins with \(prefix): nothing was changed")
      case .several(let candidates): throw HTTPFault.ambiguous(prefix, candidates)
      }
    }
    guard ids.isEmpty else { return ids }
    let statuses = body.statuses.isEmpty ? operation.defaultStatuses : body.statuses
    return try await store.matchingIDs(body.filter, statuses: statuses, for: operation)
  }
}

extension ReviewStore {
  /// The reviews that a filter means, as `matching` finds them.
  /// - Throws: `HTTPFault` 409 if there are more than are ever meant.
  func matchingIDs(
    _ filter: ReviewFilter, statuses: [ReviewStatus], for operation: ReviewOperation
  ) async throws -> [UUID] {
    let matching = try await matching(filter, statuses: statuses, for: operation)
    guard matching.count < Self.matchCountMax else {
      throw HTTPFault(
        .conflict, "\(Self.matchCountMax) reviews or more match: narrow the filter; nothing was changed")
    }
    return matching.map(\.id)
  }
}
