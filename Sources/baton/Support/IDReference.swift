internal import ArgumentParser
internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews

/// A review, an integration or an endpoint on the command line: its id, or the start of it.
struct IDReference: ExpressibleByArgument, Sendable {
  var prefix: IDPrefix

  init?(argument: String) {
    guard let prefix = IDPrefix(argument) else { return nil }
    self.prefix = prefix
  }
}

extension ReviewStore {
  /// The id that a prefix names.
  /// - Throws: `Failure` if no review or more than one has such an id.
  func id(_ reference: IDReference) async throws -> UUID {
    switch try await identify(reference.prefix) {
    case .one(let id): return id
    case .unknown:
      throw Failure(
        .failed, "no review has an id that begins with \(reference.prefix); `baton list` shows the reviews")
    case .several(let candidates):
      throw Failure(.failed, Self.ambiguity(reference.prefix, candidates))
    }
  }

  /// The integration's id that a prefix names.
  /// - Throws: `Failure` if no integration or more than one has such an id.
  func integrationID(_ reference: IDReference) async throws -> UUID {
    let ids = try await integrationIDs(beginningWith: reference.prefix)
    guard let id = ids.first else {
      throw Failure(
        .failed,
        "no integration has an id that begins with \(reference.prefix); `baton integration list` shows those that there are"
      )
    }
    guard ids.count == 1 else {
      throw Failure(
        .failed,
        "\(reference.prefix) is the start of several ids; give more digits. Among them:\n"
          + ids.map { "  \($0.lowercase)" }.joined(separator: "\n"))
    }
    return id
  }

  /// The endpoint's id that a prefix names.
  /// - Throws: `Failure` if no endpoint or more than one has such an id.
  func endpointID(_ reference: IDReference) async throws -> UUID {
    let ids = try await endpointIDs(beginningWith: reference.prefix)
    guard let id = ids.first else {
      throw Failure(
        .failed,
        "no endpoint has an id that begins with \(reference.prefix); `baton endpoint list` shows those that there are")
    }
    guard ids.count == 1 else {
      throw Failure(
        .failed,
        "\(reference.prefix) is the start of several ids; give more digits. Among them:\n"
          + ids.map { "  \($0.lowercase)" }.joined(separator: "\n"))
    }
    return id
  }

  static func ambiguity(_ prefix: IDPrefix, _ candidates: [Review]) -> String {
    let lines = candidates.map { "  \($0.id.lowercase)  \($0.status.rawValue)  \(DisplayText.safe($0.pullRequest))" }
    return "\(prefix) is the start of several ids; give more digits. Among them:\n" + lines.joined(separator: "\n")
  }
}
