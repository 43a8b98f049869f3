internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Primitives
internal import ReviewStore

extension Call {
  /// The id of the integration that the path names, by its id or the start of it.
  /// - Throws: `HTTPFault` 404 if no id begins so, 409 if several do.
  func integrationID(_ store: ReviewStore) async throws -> UUID {
    try await id("integration") { try await store.integrationIDs(beginningWith: $0) }
  }

  /// The same of an endpoint of events.
  func endpointID(_ store: ReviewStore) async throws -> UUID {
    try await id("endpoint") { try await store.endpointIDs(beginningWith: $0) }
  }

  private func id(_ what: String, _ find: (IDPrefix) async throws -> [UUID]) async throws -> UUID {
    guard let pathID, let prefix = IDPrefix(pathID) else {
      throw HTTPFault(.notFound, "no \(what) has this id: expected a UUID, or its first four digits or more")
    }
    let ids = try await find(prefix)
    guard let id = ids.first else { throw HTTPFault(.notFound, "no \(what) has an id that begins with \(prefix)") }
    guard ids.count == 1 else {
      throw HTTPFault(
        .conflict, "\(prefix) is the start of several ids: give more digits", faults: ids.map(\.lowercase))
    }
    return id
  }

  /// The review's whole id in the path.
  /// - Throws: `HTTPFault` 404 if it is no UUID: no review can have it.
  func reviewID() throws -> UUID {
    guard let pathID, let id = UUID(uuidString: pathID) else { throw HTTPFault.noID }
    return id
  }

  /// The id of the review that the path names, by its id or the start of it.
  /// - Throws: `HTTPFault` 404 if no id begins so, 409 if several do.
  func reviewID(_ store: ReviewStore) async throws -> UUID {
    guard let pathID, let prefix = IDPrefix(pathID) else { throw HTTPFault.noID }
    switch try await store.identify(prefix) {
    case .one(let id): return id
    case .unknown: throw HTTPFault.unknownReview
    case .several(let candidates): throw HTTPFault.ambiguous(prefix, candidates)
    }
  }
}
