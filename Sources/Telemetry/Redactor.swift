/// Masks what must not appear in a log line: the values of metadata keys that name a secret, and, anywhere in a text, what
/// looks like one: passwords in URLs and connection strings, bearer tokens, platform tokens, private keys.
///
/// Known weakness: a secret without a mark, such as a bare random word in a message, cannot be known as one. Code keeps
/// secrets in `Secret`, which does not print; this is the second line.
package struct Redactor: Sendable {
  /// What stands in place of a secret.
  package static let mask = "***"

  /// Words that make a key's value a secret when one of the key's words ends with them: `authToken`, `worker-token`,
  /// `client_secret`; not `total_tokens_in`.
  private static let secretEndings = [
    "token", "secret", "password", "passwd", "passphrase", "authorization", "cookie", "credential", "credentials",
    "prompt", "apikey", "privatekey", "encryptionkey",
  ]
  private static let secretPairs = ["api key", "private key", "encryption key"]
  /// GitHub's and GitLab's own tokens, which carry their kind in front.
  private static let tokenPrefixes = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"]
  private static let tokenByteMin = 16

  /// Creates the rules above.
  package init() {}

  /// Whether a key's value is to be masked whole, whatever it is.
  package func isSecret(key: String) -> Bool {
    let words = Self.words(of: key)
    if words.contains(where: { word in Self.secretEndings.contains { word.hasSuffix($0) } }) { return true }
    let joined = words.joined(separator: " ")
    return Self.secretPairs.contains { joined.contains($0) }
  }

  /// A text without the secrets that can be recognised in it.
  package func redact(_ text: String) -> String {
    var bytes = Array(text.utf8)
    maskURLPasswords(&bytes)
    maskAssignments(&bytes)
    maskTokens(&bytes)
    maskPrivateKeys(&bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// `authToken`, `auth-token` and `AUTH_TOKEN` are all the words "auth" and "token".
  private static func words(of key: String) -> [String] {
    var words: [String] = [""]
    var wasLower = false
    for character in key {
      if !character.isLetter && !character.isNumber || character.isUppercase && wasLower { words.append("") }
      if character.isLetter || character.isNumber { words[words.count - 1] += character.lowercased() }
      wasLower = character.isLowercase
    }
    return words.filter { !$0.isEmpty }
  }

  /// `scheme://user:password@` keeps the user. A user without a password stays too, except in http, because there it is
  /// a token (`https://<token>@github.com/…`).
  private func maskURLPasswords(_ bytes: inout [UInt8]) {
    var index = 0
    while let separator = bytes.firstRange(of: "://", from: index) {
      let start = separator + 3
      index = start
      guard let at = endOfUserInfo(bytes, from: start) else { continue }
      let colon = bytes[start..<at].firstIndex(of: UInt8(ascii: ":"))
      let isHTTP = ["http", "https"].contains { bytes[..<separator].hasSuffix($0) }
      guard let secret = colon.map({ $0 + 1 }) ?? (isHTTP ? start : nil), secret < at else { continue }
      bytes.replaceSubrange(secret..<at, with: Self.mask.utf8)
      index = secret + Self.mask.utf8.count
    }
  }

  /// The position of the `@` that ends the user information. A password that holds a `/` is wrong in a URL, yet people
  /// write it: so an `@` behind the first slash counts as well, unless what stands before the slash is a host and a port.
  private func endOfUserInfo(_ bytes: [UInt8], from start: Int) -> Int? {
    let end = bytes[start...].firstIndex { $0 <= 0x20 || "\"'<>`".utf8.contains($0) } ?? bytes.endIndex
    let authorityEnd = bytes[start..<end].firstIndex { "/?#".utf8.contains($0) } ?? end
    if let at = bytes[start..<authorityEnd].lastIndex(of: UInt8(ascii: "@")) { return at }
    guard authorityEnd < end, let colon = bytes[start..<authorityEnd].firstIndex(of: UInt8(ascii: ":")),
      bytes[(colon + 1)..<authorityEnd].contains(where: { !(0x30...0x39).contains($0) })
    else { return nil }
    return bytes[authorityEnd..<end].firstIndex(of: UInt8(ascii: "@"))
  }

  /// `password=…`, `?access_token=…`, `"token":"…"`, `Authorization: Bearer …`: masks the value of a key that names a
  /// secret. A bare `token: expired` is prose and stays.
  private func maskAssignments(_ bytes: inout [UInt8]) {
    var index = 0
    while let sign = bytes[index...].firstIndex(where: { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ":") }) {
      index = sign + 1
      var keyEnd = sign
      while keyEnd > 0, bytes[keyEnd - 1] == 0x20 || bytes[keyEnd - 1] == UInt8(ascii: "\"") { keyEnd -= 1 }
      let keyStart = (bytes[..<keyEnd].lastIndex { !$0.isWordByte && $0 != UInt8(ascii: "-") } ?? -1) + 1
      let key = String(decoding: bytes[keyStart..<keyEnd], as: UTF8.self)
      let isHeader = key.lowercased() == "authorization"
      let isQuotedKey = keyEnd < sign && bytes[keyEnd] == UInt8(ascii: "\"")
      guard !key.isEmpty, bytes[sign] == UInt8(ascii: "=") || isQuotedKey || isHeader, isSecret(key: key) else {
        continue
      }
      index = maskValue(&bytes, from: sign + 1, isHeader: isHeader)
    }
  }

  /// Masks a value in quotes whole, a header's value up to the end of its line, and any other up to a separator.
  /// - Returns: the position behind the mask.
  private func maskValue(_ bytes: inout [UInt8], from position: Int, isHeader: Bool) -> Int {
    var start = position
    while start < bytes.count, bytes[start] == 0x20 { start += 1 }
    var end = start
    if start < bytes.count, bytes[start] == UInt8(ascii: "\"") || bytes[start] == UInt8(ascii: "'") {
      let quote = bytes[start]
      start += 1
      end = start
      while end < bytes.count, bytes[end] != quote { end += bytes[end] == UInt8(ascii: "\\") ? 2 : 1 }
      end = min(end, bytes.count)
    } else {
      let stops = isHeader ? "\r\n\"',;" : " \t\r\n\"'&,;)]}"
      while end < bytes.count, !stops.utf8.contains(bytes[end]) { end += 1 }
    }
    guard start < end else { return end }
    bytes.replaceSubrange(start..<end, with: Self.mask.utf8)
    return start + Self.mask.utf8.count
  }

  /// Platform tokens and JSON web tokens by their beginning, wherever it stands, and what follows `Bearer`. A word must be
  /// long to count: "Bearer token missing" stays.
  private func maskTokens(_ bytes: inout [UInt8]) {
    for prefix in Self.tokenPrefixes { maskWords(&bytes, from: prefix) { _ in true } }
    maskWords(&bytes, from: "eyJ") { word in word.count { $0 == UInt8(ascii: ".") } >= 2 }
    for scheme in ["Bearer ", "bearer "] { maskWords(&bytes, from: scheme, keepsStart: true) { _ in true } }
  }

  /// Masks the long words that begin with, or right behind, a text.
  private func maskWords(
    _ bytes: inout [UInt8], from text: String, keepsStart: Bool = false, where isToken: (ArraySlice<UInt8>) -> Bool
  ) {
    var index = 0
    while let found = bytes.firstRange(of: text, from: index) {
      let start = keepsStart ? found + text.utf8.count : found
      let end = bytes[start...].firstIndex { !$0.isTokenByte } ?? bytes.endIndex
      index = max(end, found + 1)
      guard end - start >= Self.tokenByteMin, isToken(bytes[start..<end]) else { continue }
      bytes.replaceSubrange(start..<end, with: Self.mask.utf8)
      index = start + Self.mask.utf8.count
    }
  }

  /// A PEM block of a private key, up to its end or to the end of the text.
  private func maskPrivateKeys(_ bytes: inout [UInt8]) {
    let mark = "PRIVATE KEY-----"
    while let begin = bytes.firstRange(of: "-----BEGIN ", from: 0),
      let head = bytes.firstRange(of: mark, from: begin), head - begin < 40
    {
      let body = head + mark.utf8.count
      let end = bytes.firstRange(of: mark, from: body).map { $0 + mark.utf8.count } ?? bytes.endIndex
      bytes.replaceSubrange(begin..<end, with: Self.mask.utf8)
    }
  }
}

extension UInt8 {
  fileprivate var isWordByte: Bool {
    (0x30...0x39).contains(self) || (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self)
      || self == UInt8(ascii: "_")
  }

  fileprivate var isTokenByte: Bool { isWordByte || "-.~+/=".utf8.contains(self) }
}

extension RandomAccessCollection<UInt8> where Index == Int {
  fileprivate func hasSuffix(_ text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }

  /// Where a text begins first, at a position or behind it.
  fileprivate func firstRange(of text: String, from position: Int) -> Int? {
    let needle = Array(text.utf8)
    guard count >= needle.count else { return nil }
    var index = position
    while index <= endIndex - needle.count {
      if self[index] == needle[0], self[index..<(index + needle.count)].elementsEqual(needle) { return index }
      index += 1
    }
    return nil
  }
}
