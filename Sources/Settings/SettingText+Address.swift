internal import Certificates
internal import Primitives
internal import ReviewQueue
internal import ReviewStore
internal import Reviews

/// URLs and hosts, checked by hand: the checks are few, and Foundation's URL accepts nearly everything.
extension SettingText {
  /// An http(s) base URL, without the slash at its end. It carries no user, query or fragment: a password would show.
  static func httpURL(_ text: String) throws(SettingFault) -> String {
    guard let (scheme, authority, rest) = split(text), ["http", "https"].contains(scheme) else {
      throw SettingFault("is not an http:// or https:// URL")
    }
    // Also behind the host: a password with a raw slash ends there, and the path is shown.
    guard !authority.contains("@"), !rest.contains("@") else {
      throw SettingFault("carries a user, or a raw '@'; give tokens by their own setting")
    }
    guard !rest.contains("?"), !rest.contains("#") else {
      throw SettingFault("carries a query or a fragment; a base URL ends with its path")
    }
    guard isHostAndPort(authority) else { throw SettingFault("has no well-formed host and port") }
    guard isPercentEncoded(rest) else { throw SettingFault("has a path that is not percent-encoded") }
    return String(text.dropLast(text.hasSuffix("/") ? 1 : 0))
  }

  /// A base URL, or `nil` for `off`.
  static func optionalURL(_ text: String) throws(SettingFault) -> String? {
    ["off", "false", "no"].contains(text.lowercased()) ? nil : try httpURL(text)
  }

  /// An http(s) base URL that tokens are sent to: `http` only on this machine.
  static func tokenURL(_ text: String) throws(SettingFault) -> String {
    let url = try httpURL(text)
    guard let (scheme, authority, _) = split(url), scheme == "https" || IPAddress.isLoopback(hostPart(of: authority))
    else {
      throw SettingFault("would send tokens without encryption to another machine; use https://")
    }
    return url
  }

  /// The host of `host`, `host:port`, `[::1]` and `[::1]:port`.
  static func hostPart(of authority: String) -> String {
    guard let end = authority.lastIndex(of: "]") else { return String(authority.prefix { $0 != ":" }) }
    return String(authority[...end])
  }

  /// Host and port of an `http://` URL of another machine; nil for every other URL.
  static func plaintextAuthority(_ url: String) -> String? {
    guard let (scheme, authority, _) = split(url), scheme == "http", !IPAddress.isLoopback(hostPart(of: authority))
    else {
      return nil
    }
    return authority
  }

  /// The URLs of a comma-separated list.
  static func amqpURLs(_ text: String) throws(SettingFault) -> [Secret] {
    let urls = text.split(separator: ",").map(\.trimmed)
    guard !urls.isEmpty else { throw SettingFault("is empty") }
    for (index, url) in urls.enumerated() {
      guard let fault = BrokerAddress.fault(in: url) else { continue }
      throw SettingFault((urls.count > 1 ? "URL \(index + 1) of \(urls.count): " : "") + fault)
    }
    return urls.map { Secret($0) }
  }

  /// A libpq URI, or pairs of `keyword=value`.
  static func databaseURL(_ text: String) throws(SettingFault) -> Secret {
    if let fault = DatabaseAddress.fault(in: text) { throw SettingFault(fault) }
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

  /// Addresses of proxies. A range of all addresses would let every caller name himself.
  static func addressRanges(_ text: String) throws(SettingFault) -> [AddressRange] {
    var ranges: [AddressRange] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let range = AddressRange(part.trimmed) else {
        throw SettingFault("is not a list of IP addresses or ranges such as 10.0.0.0/8")
      }
      guard range.prefixLength > 0 else { throw SettingFault("trusts every address") }
      ranges.append(range)
    }
    return ranges
  }

  /// A header's name (RFC 9110, 5.6.2), but none that carries a secret: its value stands in the history.
  static func actorHeader(_ text: String) throws(SettingFault) -> String {
    let isToken = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "!#$%&'*+-.^_`|~".contains($0)) }
    guard isToken, !text.isEmpty else { throw SettingFault("is not the name of a header") }
    guard !["authorization", "proxy-authorization", "cookie", "x-internal-secret"].contains(text.lowercased()) else {
      throw SettingFault("names a header that carries a secret, and the history would show it")
    }
    return text
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

  private static func isPercentEncoded(_ path: String) -> Bool {
    let parts = path.split(separator: "%", omittingEmptySubsequences: false)
    return path.allSatisfy(\.isASCII)
      && parts.dropFirst().allSatisfy { $0.count >= 2 && $0.prefix(2).allSatisfy(\.isHexDigit) }
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
