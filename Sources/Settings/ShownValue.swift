/// What a message may show of a value that was refused. A secret may stand in the wrong place: in a URL, in the variable next to its own.
///
/// So it is decided by the value, not by the setting. A URL's scheme, host and port are shown, and only if nothing else stands before its path. Other
/// values are shown if they have no sign of a secret; a path of such words is shown whole.
enum ShownValue {
  private static let lengthMax = 40
  /// A longer run of letters and digits that has both may be a token.
  private static let wordMax = 15
  private static let pathMax = 512

  /// The value in quotes after a blank, or nothing.
  static func quoted(_ text: String) -> String {
    if text.contains("://") { return origin(text).map { " \"\($0)\"" } ?? "" }
    if isPath(text) { return " \"\(text)\"" }
    guard isHarmless(text) else { return "" }
    return " \"\(text.prefix(lengthMax))\(text.count > lengthMax ? "…" : "")\""
  }

  /// A key of a file, or a flag's name, unless it has the looks of something else.
  static func name(_ text: String) -> String {
    let isName = text.allSatisfy { $0.isASCII && ($0.isLetter || "_-".contains($0)) } && text.count <= lengthMax
    return isName ? text : "(name not shown)"
  }

  /// Whether a URL, or another secret setting's value, holds something that other users may not read.
  static func mayHoldSecret(_ text: String, of key: Settings.Key) -> Bool {
    switch key {
    case .databaseURL: text.contains("password") || userHasPassword(text)
    case .amqpURL: userHasPassword(text)
    default: true
    }
  }

  private static func userHasPassword(_ url: String) -> Bool {
    guard let start = url.firstRange(of: "://")?.upperBound, let at = url[start...].lastIndex(of: "@") else {
      return false
    }
    return url[start..<at].contains(":")
  }

  /// `scheme://host:port`, with an ellipsis for the rest.
  private static func origin(_ url: String) -> String? {
    guard let start = url.firstRange(of: "://")?.upperBound, !url.contains("@"), !url.lowercased().contains("%40")
    else {
      return nil
    }
    let authority = url[start...].prefix { !"/?#".contains($0) }
    let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
    guard url[..<start].dropLast(3).allSatisfy({ $0.isASCII && $0.isLetter }), parts.count <= 2,
      isHarmless(String(parts[0])),
      parts.dropFirst().allSatisfy({ $0.allSatisfy { $0.isASCII && $0.isNumber } })
    else { return nil }
    let end = authority.endIndex
    return url[..<end] + (url[end...].drop { $0 == "/" }.isEmpty ? "" : "/…")
  }

  /// A file is named whole, or its reader looks for another one.
  private static func isPath(_ text: String) -> Bool {
    ["/", "./", "../", "~/"].contains { text.hasPrefix($0) } && text.utf8.count <= pathMax
      && text.split(separator: "/").allSatisfy { isHarmless(String($0)) }
  }

  private static func isHarmless(_ text: String) -> Bool {
    guard text.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || " ,._:-".contains($0)) }) else { return false }
    return text.split { !$0.isLetter && !$0.isNumber }.allSatisfy { word in
      word.count <= wordMax || word.allSatisfy(\.isNumber) || word.allSatisfy(\.isLowercase)
    }
  }
}
