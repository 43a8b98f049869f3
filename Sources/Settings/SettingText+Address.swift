internal import Reviews

/// URLs and hosts, checked by hand: the checks are few, and Foundation's URL accepts nearly everything.
extension SettingText {
  /// An http(s) base URL, without the slash at its end. It carries no user, query or fragment: a password would show.
  static func httpURL(_ text: String) throws(SettingFault) -> String {
    guard let (scheme, authority, rest) = split(text), ["http", "https"].contains(scheme) else {
      throw SettingFault("is not an http:// or https:// URL")
    }
    guard !authority.contains("@") else { throw SettingFault("carries a user; give tokens by their own setting") }
    guard !rest.contains("?"), !rest.contains("#") else {
      throw SettingFault("carries a query or a fragment; a base URL ends with its path")
    }
    guard isHostAndPort(authority) else { throw SettingFault("has no well-formed host and port") }
    return String(text.dropLast(text.hasSuffix("/") ? 1 : 0))
  }

  /// The URLs of a comma-separated list.
  static func amqpURLs(_ text: String) throws(SettingFault) -> [Secret] {
    var urls: [Secret] = []
    for part in text.split(separator: ",") {
      let url = part.trimmed
      guard let (scheme, authority, _) = split(url), ["amqp", "amqps"].contains(scheme) else {
        throw SettingFault("is not an amqp:// or amqps:// URL, or a comma-separated list of them")
      }
      let host = authority.split(separator: "@", omittingEmptySubsequences: false).last.map { String($0) } ?? ""
      guard isHostAndPort(host) else { throw SettingFault("has no well-formed host and port") }
      urls.append(Secret(url))
    }
    guard !urls.isEmpty else { throw SettingFault("is empty") }
    return urls
  }

  /// A libpq URI, or pairs of `keyword=value`. libpq judges the rest when it connects.
  static func databaseURL(_ text: String) throws(SettingFault) -> Secret {
    let isURI = ["postgres://", "postgresql://"].contains { text.hasPrefix($0) }
    guard isURI || text.contains("=") && !text.contains("://") else {
      throw SettingFault("is neither a postgres:// URI nor a conninfo (host=… dbname=…)")
    }
    return Secret(text)
  }

  /// A name or an address to listen on, without a port.
  static func host(_ text: String) throws(SettingFault) -> String {
    let isIPv6 = text.contains(":") && text.allSatisfy { $0.isHexDigit || ":.%".contains($0) }
    guard isIPv6 || isName(text) else { throw SettingFault("is not a host name or an IP address") }
    return text
  }

  /// Hosts, each perhaps with a port.
  static func hosts(_ text: String) throws(SettingFault) -> [String] {
    let hosts = text.split(separator: ",").map { $0.trimmed.lowercased() }
    guard !hosts.isEmpty else { throw SettingFault("is empty") }
    guard hosts.allSatisfy({ isHostAndPort($0) }) else {
      throw SettingFault("is not a list of host names (without https://)")
    }
    return hosts
  }

  /// Scheme in lower case, authority, and the rest from its slash on.
  private static func split(_ url: String) -> (scheme: String, authority: String, rest: String)? {
    guard let colon = url.firstRange(of: "://"), !url.contains(where: { $0.isWhitespace || $0.isNewline }) else {
      return nil
    }
    let behind = url[colon.upperBound...]
    let authority = behind.prefix { !"/?#".contains($0) }
    return (url[..<colon.lowerBound].lowercased(), String(authority), String(behind[authority.endIndex...]))
  }

  /// `host`, `host:port`, `[::1]`, `[::1]:port`.
  private static func isHostAndPort(_ text: String) -> Bool {
    var rest = text[...]
    if rest.hasPrefix("[") {
      guard let end = rest.firstIndex(of: "]"), end > rest.index(after: rest.startIndex),
        rest[rest.index(after: rest.startIndex)..<end].allSatisfy({ $0.isHexDigit || ":.".contains($0) })
      else { return false }
      rest = rest[rest.index(after: end)...]
    } else {
      let name = rest.prefix { $0 != ":" }
      guard isName(String(name)) else { return false }
      rest = rest[name.endIndex...]
    }
    guard !rest.isEmpty else { return true }
    return rest.first == ":" && Int(rest.dropFirst()).map { (1...65535).contains($0) } ?? false
  }

  private static func isName(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= 253 && text.first != "." && text.first != "-"
      && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) }
  }
}

extension StringProtocol {
  /// Without spaces at its ends.
  var trimmed: String {
    String(String(drop { $0.isWhitespace }.reversed()).drop { $0.isWhitespace }.reversed())
  }
}
