internal import Crypto
internal import NIOHTTP1
internal import Primitives

/// In whose name an API is called: what is sent, whose rate limit it counts against, and whose kept answers may be used.
struct APICaller: Sendable {
  /// What is sent with every call; holds the token.
  let headers: HTTPHeaders
  /// Whose rate limit the calls count against: an installation, a token, or all callers without a token.
  let account: String
  /// Identifies the token's kept answers; nil without one. An answer never serves another token.
  let fingerprint: [UInt8]?

  /// - Parameter account: nil for the token's own, or without a token for that of all who send none.
  init(headers: HTTPHeaders, token: Secret?, account: String? = nil) {
    self.headers = headers
    fingerprint = token.map { Array(SHA256.hash(data: Array($0.reveal().utf8))) }
    self.account = account ?? fingerprint.map { "token \($0.prefix(8).hexadecimal)" } ?? "anonymous"
  }
}
