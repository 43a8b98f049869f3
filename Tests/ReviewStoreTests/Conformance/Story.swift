import FoundationEssentials
import Primitives
import ReviewStore
import Reviews
import Testing

/// A sequence of steps with its expectations.
struct Story: Sendable, CustomTestStringConvertible {
  let name: String
  let tell: @Sendable (Play) async throws -> Void

  init(_ name: String, _ tell: @escaping @Sendable (Play) async throws -> Void) {
    self.name = name
    self.tell = tell
  }

  var testDescription: String { name }

  static let all = claims + leases + recovery + rollCalls + silence + operations + outbox + locks + sessions
}

extension Owner {
  static func org(_ id: String) -> Owner { Owner(type: .org, id: id) }
}
