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

  /// A text without the secrets that can be recognised in it. Takes time in proportion to the text: strangers write much of what is logged.
  package func redact(_ text: String) -> String {
    var bytes = Array(text.utf8)
    for find in [urlPasswords(in:), assignedValues(in:), tokens(in:)] {
      bytes = Self.masking(find(bytes), in: bytes)
    }
    return String(decoding: Self.maskingPrivateKeys(in: bytes), as: UTF8.self)
  }

  /// - Parameter places: in order, and not overlapping.
  private static func masking(_ places: [Range<Int>], in bytes: [UInt8]) -> [UInt8] {
    guard !places.isEmpty else { return bytes }
    var masked: [UInt8] = []
    masked.reserveCapacity(bytes.count)
    var index = 0
    for place in places {
      masked += bytes[index..<place.lowerBound]
      masked += mask.utf8
      index = place.upperBound
    }
    return masked + bytes[index...]
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
  private func urlPasswords(in bytes: [UInt8]) -> [Range<Int>] {
    var places: [Range<Int>] = []
    var (index, end, sign) = (0, 0, 0)
    while let separator = bytes.firstRange(of: "://", from: index) {
      let start = separator + 3
      index = start
      // Both only move on, or many addresses without a blank between them would be looked through for each.
      if end < start { end = bytes[start...].firstIndex { $0 <= 0x20 || "\"'<>`".utf8.contains($0) } ?? bytes.endIndex }
      if sign < start { sign = bytes[start...].firstIndex(of: UInt8(ascii: "@")) ?? bytes.endIndex }
      guard sign < end, let at = Self.endOfUserInfo(bytes, in: start..<end, firstSign: sign) else { continue }
      let colon = bytes[start..<at].firstIndex(of: UInt8(ascii: ":"))
      let isHTTP = ["http", "https"].contains { bytes[..<separator].hasSuffix($0) }
      guard let secret = colon.map({ $0 + 1 }) ?? (isHTTP ? start : nil), secret < at else { continue }
      places.append(secret..<at)
      index = at
    }
    return places
  }

  /// The position of the `@` that ends the user information. A password that holds a `/` is wrong in a URL, yet people
  /// write it: so an `@` behind the first slash counts as well, unless what stands before the slash is a host and a port.
  /// - Parameter firstSign: the first `@` of the address.
  private static func endOfUserInfo(_ bytes: [UInt8], in address: Range<Int>, firstSign: Int) -> Int? {
    let authorityEnd = bytes[address].firstIndex { "/?#".utf8.contains($0) } ?? address.upperBound
    let authority = address.lowerBound..<authorityEnd
    if let at = bytes[authority].lastIndex(of: UInt8(ascii: "@")) { return at }
    guard let colon = bytes[authority].firstIndex(of: UInt8(ascii: ":")),
      bytes[(colon + 1)..<authorityEnd].contains(where: { !(0x30...0x39).contains($0) })
    else { return nil }
    return firstSign
  }

  /// `password=…`, `?access_token=…`, `"token":"…"`, `Authorization: Bearer …`: the value of a key that names a secret. A bare
  /// `token: expired` is prose and stays.
  private func assignedValues(in bytes: [UInt8]) -> [Range<Int>] {
    var places: [Range<Int>] = []
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
      let value = Self.value(in: bytes, from: sign + 1, isHeader: isHeader)
      if !value.isEmpty { places.append(value) }
      index = value.upperBound
    }
    return places
  }

  /// A value in quotes whole, a header's value up to the end of its line, and any other up to a separator.
  private static func value(in bytes: [UInt8], from position: Int, isHeader: Bool) -> Range<Int> {
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
    return start..<end
  }

  /// Platform tokens and JSON web tokens by their beginning, wherever it stands, and what follows `Bearer`. A word must be
  /// long to count: "Bearer token missing" stays.
  private func tokens(in bytes: [UInt8]) -> [Range<Int>] {
    let places =
      Self.tokenPrefixes.flatMap { words(in: bytes, from: $0) { _ in true } }
      + words(in: bytes, from: "eyJ") { word in word.count { $0 == UInt8(ascii: ".") } >= 2 }
      + ["Bearer ", "bearer "].flatMap { words(in: bytes, from: $0, keepsStart: true) { _ in true } }
    // What begins within another one ends with it.
    return places.sorted { $0.lowerBound < $1.lowerBound }.reduce(into: []) { kept, place in
      if place.lowerBound >= kept.last?.upperBound ?? 0 { kept.append(place) }
    }
  }

  /// The long words that begin with, or right behind, a text.
  private func words(
    in bytes: [UInt8], from text: String, keepsStart: Bool = false, where isToken: (ArraySlice<UInt8>) -> Bool
  ) -> [Range<Int>] {
    var places: [Range<Int>] = []
    var index = 0
    while let found = bytes.firstRange(of: text, from: index) {
      let start = keepsStart ? found + text.utf8.count : found
      let end = bytes[start...].firstIndex { !$0.isTokenByte } ?? bytes.endIndex
      let isPlace = end - start >= Self.tokenByteMin && isToken(bytes[start..<end])
      if isPlace { places.append(start..<end) }
      // The word may be another "Bearer".
      index = keepsStart && !isPlace ? start : max(end, found + 1)
    }
    return places
  }

  /// Without each PEM block of a private key, up to its end or to the end of the text. What may begin one is looked for in the text as it is
  /// masked so far, so that no mask makes what looks like another one.
  private static func maskingPrivateKeys(in bytes: [UInt8]) -> [UInt8] {
    let mark = "PRIVATE KEY-----"
    var masked: [UInt8] = []
    var index = 0
    while let head = bytes.firstRange(of: mark, from: index) {
      masked += bytes[index..<head]
      index = head + mark.utf8.count
      if let begin = masked.firstRange(of: "-----BEGIN ", from: max(0, masked.count - 39)) {
        masked.replaceSubrange(begin..., with: mask.utf8)
        index = bytes.firstRange(of: mark, from: index).map { $0 + mark.utf8.count } ?? bytes.endIndex
      } else {
        masked += mark.utf8
      }
    }
    return masked + bytes[index...]
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
