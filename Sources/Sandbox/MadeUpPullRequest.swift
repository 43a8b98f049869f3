/// A pull request that was not recorded: the same repository and number always give the same one.
struct MadeUpPullRequest: Sendable, Equatable {
  let repository: String
  let number: Int
  let id: UInt64
  let title: String
  let author: String
  let headRef: String
  let headSha: String
  let baseRef = "master"

  init(repository: String, number: Int) {
    self.repository = repository
    self.number = number
    var hash = Hash(seed: "\(repository)#\(number)")
    headSha = String((hash.hex() + hash.hex() + hash.hex()).prefix(40))
    id = hash.next() % 1_000_000_000 + 1
    let (title, branch) = Self.subjects[Int(hash.next() % UInt64(Self.subjects.count))]
    self.title = title
    headRef = branch
    author = Self.authors[Int(hash.next() % UInt64(Self.authors.count))]
  }

  private static let authors = ["ana-lopes", "bkowalski", "chidi-o", "dvora", "eskil", "farah-n", "g-ito", "hallam"]

  private static let subjects = [
    ("Retry the upload when the connection is lost", "retry-upload"),
    ("Escape the customer's name in invoices", "escape-invoice-name"),
    ("Cache exchange rates for an hour", "cache-exchange-rates"),
    ("Close the file when parsing fails", "close-file-on-error"),
    ("Check the signature before reading the body", "check-signature-first"),
    ("Page through search results by key", "keyset-search"),
    ("Remove the unused feature switch", "remove-switch"),
    ("Round prices half to even", "round-prices"),
    ("Report progress of long imports", "import-progress"),
    ("Do not log access tokens", "no-tokens-in-logs"),
    ("Let the session expire on the server", "session-expiry"),
    ("Fix the off-by-one in the last page", "fix-last-page"),
  ]
}

/// A hash that is the same in every process, unlike Swift's own: FNV-1a, then SplitMix64.
struct Hash {
  private var state: UInt64

  init(seed: String) {
    state = seed.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }

  /// Sixteen hexadecimal digits.
  mutating func hex() -> String {
    let digits = String(next(), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
