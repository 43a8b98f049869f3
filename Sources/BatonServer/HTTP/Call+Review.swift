internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Primitives
internal import ReviewStore

extension Call {
  /// The whole id in the path.
  /// - Parameter what: it is the id of, for the message.
  func uuid(_ what: String) throws(HTTPFault) -> UUID {
    guard let id = pathID.flatMap({ UUID(uuidString: $0) }) else {
      throw HTTPFault(.notFound, "no \(what) has this id: expected a UUID")
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
