/// The user or organization that a review belongs to; limits and fair turns are per owner.
package struct Owner: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The kind of owner.
  package enum Kind: String, Sendable, Codable, CaseIterable {
    case user
    case org
  }

  package var type: Kind
  package var id: String

  package init(type: Kind, id: String) {
    self.type = type
    self.id = id
  }

  /// Parses `org:acme` or `user:42`; nil if the text is neither.
  package init?(_ text: String) {
    guard let colon = text.firstIndex(of: ":"), let type = Kind(rawValue: String(text[..<colon])) else { return nil }
    let id = String(text[text.index(after: colon)...])
    guard !id.isEmpty else { return nil }
    self.init(type: type, id: id)
  }

  package var description: String { "\(type.rawValue):\(id)" }
}

/// Where the code lives.
package enum Platform: String, Sendable, Codable, CaseIterable {
  case github
  case gitlab
}
