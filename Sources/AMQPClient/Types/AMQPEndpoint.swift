/// One broker's address and the account there.
public struct AMQPEndpoint: Sendable, Hashable {
  /// Whether the connection is encrypted.
  public enum Scheme: String, Sendable, Hashable {
    /// Plain TCP, port 5672.
    case amqp
    /// TLS, port 5671.
    case amqps
  }

  /// Whether the connection is encrypted.
  public var scheme: Scheme
  /// A host name, or an IP address without brackets.
  public var host: String
  /// The port.
  public var port: Int
  /// The account's name.
  public var user: String
  /// The account's password; never part of a description.
  public var password: String
  /// The virtual host, `/` by default.
  public var virtualHost: String
  /// What the URL's query says in place of the configuration.
  public var parameters = AMQPParameters()

  /// Creates an endpoint; its port is the scheme's own where nil.
  public init(
    scheme: Scheme = .amqp, host: String, port: Int? = nil, user: String = "guest", password: String = "guest",
    virtualHost: String = "/"
  ) {
    self.scheme = scheme
    self.host = host
    self.port = port ?? (scheme == .amqp ? 5672 : 5671)
    self.user = user
    self.password = password
    self.virtualHost = virtualHost
  }
}

extension AMQPEndpoint {
  /// The name, or the IP address, that the broker's certificate must have.
  var certificateName: String { parameters.serverName ?? host }
}

extension AMQPEndpoint: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// `amqp://user@host:port/vhost`, without the password.
  public var description: String {
    "\(scheme.rawValue)://\(user.isEmpty ? "" : "\(user)@")\(host.contains(":") ? "[\(host)]" : host):\(port)/"
      + (virtualHost == "/" ? "" : virtualHost)
  }
  /// The same as `description`, for a debugger's and a test's output.
  public var debugDescription: String { description }
  /// No children: a dump must not show the password.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension AMQPEndpoint {
  /// Reads `amqp[s]://[user[:password]@]host[:port][/vhost]`, percent-encoded where needed.
  ///
  /// User and password default to `guest`, the virtual host to `/` (also if the path is a single slash).
  /// - Throws: an error of scope `configuration` that names the faulty part and never repeats the URL.
  public init(url: String) throws(AMQPError) {
    guard let schemeEnd = url.firstRange(of: "://"),
      let scheme = Scheme(rawValue: url[..<schemeEnd.lowerBound].lowercased())
    else { throw Self.fault("it must begin with amqp:// or amqps://") }
    let rest = url[schemeEnd.upperBound...]
    guard !rest.contains(where: { $0.isWhitespace || $0.asciiValue.map { $0 < 0x20 || $0 == 0x7F } ?? false }) else {
      throw Self.fault("it has white space or a control character inside (percent-encode them inside a password)")
    }
    guard !rest.contains("#") else {
      throw Self.fault("a '#' is not understood (write %23 inside a password)")
    }
    let (address, query) = try Self.splitQuery(rest)
    let pathStart = address.firstIndex(of: "/") ?? address.endIndex
    let path = address[pathStart...].dropFirst()
    // Or the rest of a password with a raw slash would be taken for the virtual host, and shown.
    guard !path.contains("@") else {
      throw Self.fault("a '/' or '@' inside the user name or the password must be written %2F or %40")
    }
    guard !path.contains("/") else { throw Self.fault("a slash inside the virtual host must be written %2F") }
    let (user, password, server) = try Self.splitAuthority(address[..<pathStart])
    let (host, port) = try Self.splitAddress(server)
    self.init(
      scheme: scheme, host: host, port: port, user: user, password: password,
      virtualHost: path.isEmpty ? "/" : try Self.percentDecoded(path, part: "virtual host"))
    parameters = try AMQPParameters(query: query)
    try parameters.check(scheme)
    // The broker takes the account from the certificate.
    if parameters.mechanism == .external && !address.contains("@") { (self.user, self.password) = ("", "") }
  }

  /// What follows the '?': all of it, or a password with a raw '?' would be cut in two, and the rest taken for a parameter.
  private static func splitQuery(_ rest: Substring) throws(AMQPError) -> (address: Substring, query: Substring) {
    guard let mark = rest.firstIndex(of: "?") else { return (rest, "") }
    let query = rest[rest.index(after: mark)...]
    guard !query.contains("@") else {
      throw fault(
        "parameters after '?' hold an '@': write %3F for a '?' inside a password, and %40 for an '@' inside a parameter"
      )
    }
    return (rest[..<mark], query)
  }

  private static func splitAuthority(
    _ authority: Substring
  ) throws(AMQPError) -> (user: String, password: String, address: Substring) {
    guard let at = authority.lastIndex(of: "@") else { return ("guest", "guest", authority) }
    let account = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let user = try percentDecoded(account.first ?? "", part: "user name")
    guard !user.isEmpty else { throw fault("the user name before '@' is empty") }
    let password = account.count > 1 ? try percentDecoded(account[1], part: "password") : "guest"
    return (user, password, authority[authority.index(after: at)...])
  }

  private static func splitAddress(_ address: Substring) throws(AMQPError) -> (host: String, port: Int?) {
    var host = address
    var portText: Substring?
    if address.first == "[" {
      guard let end = address.firstIndex(of: "]") else { throw fault("the IPv6 address lacks its ']'") }
      host = address[address.index(after: address.startIndex)..<end]
      let tail = address[address.index(after: end)...]
      guard tail.isEmpty || tail.first == ":" else { throw fault("after the ']' only a port may follow") }
      portText = tail.isEmpty ? nil : tail.dropFirst()
    } else if let colon = address.firstIndex(of: ":") {
      host = address[..<colon]
      portText = address[address.index(after: colon)...]
    }
    guard !host.isEmpty else { throw fault("the host is missing") }
    guard host.allSatisfy({ $0.isLetter || $0.isNumber || "-._:%".contains($0) }) else {
      throw fault("the host has a character that no host name has")
    }
    guard let portText else { return (String(host), nil) }
    guard let port = Int(portText), (1...65535).contains(port) else { throw fault("the port is not 1…65535") }
    return (String(host), port)
  }

  static func percentDecoded(_ text: Substring, part: String) throws(AMQPError) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = String(decoding: rest.prefix(2), as: UTF8.self)
      guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else {
        throw fault("the \(part) has a '%' that two hexadecimal digits do not follow")
      }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    guard let decoded = String(validating: bytes, as: UTF8.self), !decoded.utf8.contains(0) else {
      throw fault("the \(part) is not UTF-8")
    }
    return decoded
  }

  static func fault(_ text: String) -> AMQPError {
    AMQPError(operation: "read the AMQP URL", text: text, scope: .configuration, isPermanent: true)
  }
}
