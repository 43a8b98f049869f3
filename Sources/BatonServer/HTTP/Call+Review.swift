internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes

extension Call {
  /// The review's id in the path.
  /// - Throws: `HTTPFault` 404 where it is no UUID: no review can have it.
  func reviewID() throws -> UUID {
    guard let pathID, let id = UUID(uuidString: pathID) else {
      throw HTTPFault(.notFound, "no review has this id: expected a UUID, as in 0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11")
    }
    return id
  }
}
