/// The secrets that one place accepts, the newest first: while a secret is exchanged for another, both are right.
///
/// A setting spells it `new,old`. The first is sent and seals; each of them is accepted and opens.
package struct SecretList: Sendable, Hashable {
  /// The secret that is sent, and that seals.
  package let current: Secret
  /// The secrets that are still accepted.
  package let former: [Secret]

  /// Makes a list of one secret or more.
  package init(_ current: Secret, former: [Secret] = []) {
    self.current = current
    self.former = former
  }

  /// Reads `new,old`; nil if one of them is empty.
  package init?(separated text: String) {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { part in
      String(part.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
    guard parts.allSatisfy({ !$0.isEmpty }) else { return nil }
    self.init(Secret(parts[0]), former: parts.dropFirst().map { Secret($0) })
  }

  /// All of them, the current one first.
  package var all: [Secret] { [current] + former }
}
