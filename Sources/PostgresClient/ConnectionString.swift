/// A connection string of libpq, taken apart and checked without a network.
///
/// libpq's own messages quote what they complain about, which may be a part of the password: none of them is passed on. libpq also
/// accepts a URI whose password has a raw `/` or `@`, and takes the rest of the password for a host or a database, which are
/// shown. Such a URI is refused here, before libpq sees it.
struct ConnectionString: Sendable {
  /// What is wrong, as the second half of a sentence; quotes nothing that may be a part of a password.
  struct Fault: Error, Sendable {
    let reason: String

    init(_ reason: String) { self.reason = reason }
  }

  /// The parameters that the text names, in libpq's order.
  let parameters: [(keyword: String, value: String)]

  /// - Parameter text: a URI or `keyword=value` pairs; white space at the ends does not count.
  init(_ text: String) throws(Fault) {
    let text = text.trimmed
    if let uri = Self.afterScheme(text) {
      try Self.check(uri: uri)
    } else if text.contains("://") || !text.contains("=") {
      throw Fault("is neither a postgres:// URI nor keyword=value pairs (host=… dbname=…)")
    }
    switch parseConnectionString(text) {
    case .success(let parameters): self.parameters = parameters
    case .failure(let error): throw Self.explain(error.message, text)
    }
    try checkValues()
  }

  /// The last value of a keyword.
  subscript(keyword: String) -> String? { parameters.last { $0.keyword == keyword }?.value }

  // MARK: URIs

  private static func afterScheme(_ text: String) -> Substring? {
    for scheme in ["postgresql://", "postgres://"] where text.hasPrefix(scheme) {
      return text.dropFirst(scheme.count)
    }
    return nil
  }

  /// Looks for raw characters that make libpq read one part as another. As libpq does, the user information ends at the first
  /// `@` that comes before the first `/`.
  private static func check(uri: Substring) throws(Fault) {
    guard !uri.contains(where: { $0.isNewline || $0.asciiValue.map { $0 < 0x20 || $0 == 0x7F } ?? false }) else {
      throw Fault("has a line break or a control character inside")
    }
    let userEnd = uri.firstIndex { $0 == "@" || $0 == "/" }
    let rest = userEnd.map { uri[$0] == "@" ? uri[uri.index(after: $0)...] : uri } ?? uri
    let address = rest.prefix { $0 != "?" }
    guard !address.contains(where: { $0 == "@" || $0 == "#" || $0.isWhitespace }) else {
      throw Fault(
        "has a raw '/', '@', '#', '?' or blank in the user name or the password: write %2F, %40, %23, %3F or %20")
    }
    for entry in address.prefix(while: { $0 != "/" }).split(separator: ",", omittingEmptySubsequences: false) {
      try check(host: entry)
    }
  }

  /// `name`, `name:port`, `[::1]:port`; the name may be percent-encoded, as a socket's folder is.
  private static func check(host entry: Substring) throws(Fault) {
    var port = entry[...]
    if entry.first == "[" {
      guard let end = entry.firstIndex(of: "]") else { throw Fault("has an IPv6 address without its ']'") }
      port = entry[entry.index(after: end)...]
    } else {
      let name = entry.prefix { $0 != ":" }
      guard name.allSatisfy({ $0.isLetter || $0.isNumber || "-._%".contains($0) }) else {
        throw Fault("has a host with a character that no host name has")
      }
      port = entry[name.endIndex...]
    }
    guard !port.isEmpty else { return }
    guard port.first == ":" else { throw Fault("has something other than a port after an IPv6 address") }
    try check(port: port.dropFirst())
  }

  private static func check(port: Substring) throws(Fault) {
    guard port.isEmpty || Int(port).map({ (1...65_535).contains($0) }) == true else {
      throw Fault("has a port that is not a number from 1 to 65535")
    }
  }

  // MARK: What libpq says

  private static func explain(_ message: String, _ text: String) -> Fault {
    if message.contains("key/value separator") { return Fault("has something after '?' that is not keyword=value") }
    if message.contains("URI query parameter: \"") || message.contains("invalid connection option \"") {
      return Fault("has the parameter \(quotedName(message, text)), which libpq does not know")
    }
    if message.contains("percent-encoded token") {
      return Fault("has a '%' that two hexadecimal digits do not follow: write %25 for a '%'")
    }
    if message.contains("%00") { return Fault("has a NUL character (%00)") }
    if message.contains("IPv6") { return Fault("has an IPv6 address that is not in order") }
    if message.contains("unterminated quoted string") { return Fault("has a quote (') that is not closed") }
    if message.contains("missing \"=\"") {
      return Fault("has a word without '='; a value with blanks needs quotes, as in password='a b'")
    }
    return Fault("cannot be read by libpq")
  }

  /// The unknown parameter's name, unless it may be a piece of a password that was cut by a raw character.
  private static func quotedName(_ message: String, _ text: String) -> String {
    let query = text.firstIndex(of: "?").map { text[$0...] } ?? text[...]
    let parts = message.split(separator: "\"", omittingEmptySubsequences: false)
    let isURI = afterScheme(text) != nil
    guard parts.count > 2, parts[1].allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }),
      isURI ? !query.contains("@") : Self.looksLikePairs(text)
    else { return "(name not shown)" }
    return "'\(parts[1].prefix(40))'"
  }

  /// Whether a text without a scheme is meant as pairs, and has no password among them. Otherwise its first word may be one.
  private static func looksLikePairs(_ text: String) -> Bool {
    !text.contains("password") && ["host=", "dbname=", "service="].contains { text.contains($0) }
  }

  // MARK: Values

  private static let choices: [(keyword: String, values: [String])] = [
    ("sslmode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]),
    ("target_session_attrs", ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"]),
    ("gssencmode", ["disable", "prefer", "require"]),
    ("channel_binding", ["disable", "prefer", "require"]),
  ]

  private static let numbers = [
    "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
  ]

  /// What libpq would find only when it connects, again and again.
  private func checkValues() throws(Fault) {
    for (keyword, values) in Self.choices {
      guard let value = self[keyword], !values.contains(value) else { continue }
      throw Fault("has a value of \(keyword) that is none of \(values.joined(separator: ", "))")
    }
    for keyword in Self.numbers {
      guard let value = self[keyword], Int32(value.trimmed) == nil else { continue }
      throw Fault("has a value of \(keyword) that is not a whole number")
    }
    let ports = list("port")
    for port in ports { try Self.check(port: port) }
    let hostCount = max(list("host").count, list("hostaddr").count)
    guard ports.count <= 1 || ports.count == max(hostCount, 1) else {
      throw Fault("names \(ports.count) ports for \(hostCount) hosts")
    }
    guard list("host").count == list("hostaddr").count || list("host").isEmpty || list("hostaddr").isEmpty else {
      throw Fault("names \(list("host").count) hosts and \(list("hostaddr").count) values of hostaddr")
    }
  }

  private func list(_ keyword: String) -> [Substring] {
    self[keyword].map { $0.split(separator: ",", omittingEmptySubsequences: false) } ?? []
  }
}

extension StringProtocol {
  /// Without white space at the ends.
  var trimmed: String {
    var text = drop(while: \.isWhitespace)
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}
