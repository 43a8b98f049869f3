internal import Certificates

/// The query of an AMQP URL, as RabbitMQ's clients understand it (www.rabbitmq.com/docs/uri-query-parameters).
public struct AMQPParameters: Sendable, Hashable {
  /// `cacertfile`: the certificates to trust, a PEM file.
  public var authorityFile: String?
  /// `certfile`: the client's own certificate, a PEM file.
  public var certificateFile: String?
  /// `keyfile`: its key, a PEM file without a passphrase.
  public var keyFile: String?
  /// `server_name_indication`: the name that is asked for, and that the certificate must have, in place of the host.
  public var serverName: String?
  /// `auth_mechanism`.
  public var mechanism: Mechanism?
  /// `heartbeat`, in seconds.
  public var heartbeat: Duration?
  /// `connection_timeout`, in milliseconds.
  public var connectTimeout: Duration?
  /// `channel_max`.
  public var channelMax: Int?

  /// How the client says who it is.
  public enum Mechanism: String, Sendable, Hashable {
    /// User and password.
    case plain
    /// The client's certificate.
    case external
  }

  /// None given.
  public init() {}

  /// The fewest channels that are enough: one for messages, others for declarations and looks at the queues.
  private static let channelMin = 8

  /// - Throws: an error of scope `configuration` that names the parameter, and shows no value.
  init(query: Substring) throws(AMQPError) {
    for pair in query.split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      let value = try AMQPEndpoint.percentDecoded(parts.count > 1 ? parts[1] : "", part: "value of a parameter")
      try set(name, value)
    }
  }

  private mutating func set(_ name: String, _ value: String) throws(AMQPError) {
    switch name {
    case "cacertfile": authorityFile = try Self.path(value, of: name)
    case "certfile": certificateFile = try Self.path(value, of: name)
    case "keyfile": keyFile = try Self.path(value, of: name)
    case "server_name_indication": serverName = try Self.serverName(value)
    // May be given several times: the first one counts.
    case "auth_mechanism" where mechanism == nil: mechanism = try Self.mechanism(value)
    case "auth_mechanism": _ = try Self.mechanism(value)
    case "heartbeat": heartbeat = .seconds(try Self.number(value, 1...3_600, of: name))
    case "connection_timeout": connectTimeout = .milliseconds(try Self.number(value, 1...600_000, of: name))
    case "channel_max": channelMax = try Self.channelMax(value)
    case "verify":
      guard value == "verify_peer" else {
        throw AMQPEndpoint.fault(
          "verify=verify_none is refused: without verification a server on the way can answer in the broker's place. "
            + "Name the broker's authority (cacertfile, BATON_CA_FILE), or leave TLS out (amqp://)")
      }
    case "fail_if_no_peer_cert":
      guard value == "true" else { throw AMQPEndpoint.fault("fail_if_no_peer_cert can only be true") }
    default: throw Self.unknown(name)
    }
  }

  /// The name is shown only if it cannot be a piece of a password that was cut by a raw '?'.
  private static func unknown(_ name: String) -> AMQPError {
    let isName = !name.isEmpty && name.count <= 40 && name.allSatisfy { $0.isASCII && ($0.isLetter || $0 == "_") }
    return AMQPEndpoint.fault(
      "the parameter \(isName ? "'\(name)'" : "(name not shown)") after '?' is not understood (write %3F for a '?' inside a password)"
    )
  }

  private static func path(_ value: String, of name: String) throws(AMQPError) -> String {
    guard !value.isEmpty else { throw AMQPEndpoint.fault("the parameter \(name) is empty: it names a PEM file") }
    return value
  }

  private static func serverName(_ value: String) throws(AMQPError) -> String {
    guard value != "disable" else {
      throw AMQPEndpoint.fault(
        "server_name_indication=disable is refused: the name is what the certificate is checked for")
    }
    guard !value.isEmpty, value.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-._:".contains($0)) }) else {
      throw AMQPEndpoint.fault("server_name_indication is no host name")
    }
    return value
  }

  private static func mechanism(_ value: String) throws(AMQPError) -> Mechanism {
    guard let mechanism = Mechanism(rawValue: value.lowercased()) else {
      throw AMQPEndpoint.fault("auth_mechanism is neither plain nor external")
    }
    return mechanism
  }

  private static func number(_ value: String, _ range: ClosedRange<Int>, of name: String) throws(AMQPError) -> Int {
    guard let number = Int(value), range.contains(number) else {
      throw AMQPEndpoint.fault("\(name) is not a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  private static func channelMax(_ value: String) throws(AMQPError) -> Int {
    guard let number = Int(value), number == 0 || (channelMin...65_535).contains(number) else {
      throw AMQPEndpoint.fault("channel_max is neither 0 (no limit) nor a number from \(channelMin) to 65535")
    }
    return number
  }

  /// What cannot be together with the URL's scheme.
  func check(_ scheme: AMQPEndpoint.Scheme) throws(AMQPError) {
    guard scheme == .amqp else { return }
    for (name, isGiven) in [
      ("cacertfile", authorityFile != nil), ("certfile", certificateFile != nil), ("keyfile", keyFile != nil),
      ("server_name_indication", serverName != nil), ("auth_mechanism=external", mechanism == .external),
    ] where isGiven {
      throw AMQPEndpoint.fault("\(name) needs TLS: write amqps:// in place of amqp://")
    }
  }
}

extension AMQPConfiguration {
  /// The configuration as one endpoint's URL changes it.
  func applying(_ parameters: AMQPParameters) -> AMQPConfiguration {
    var configuration = self
    if let file = parameters.authorityFile { configuration.tls.authorityFile = file }
    if let file = parameters.certificateFile {
      configuration.tls.certificateFile = file
      configuration.tls.keyFile = parameters.keyFile
    } else if let file = parameters.keyFile {
      configuration.tls.keyFile = file
    }
    if let heartbeat = parameters.heartbeat { configuration.heartbeat = heartbeat }
    if let timeout = parameters.connectTimeout { configuration.connectTimeout = timeout }
    return configuration
  }

  /// What is wrong with the files of certificates and keys that an endpoint needs, as a sentence that names the file; nil if they can
  /// be used now.
  public func certificateFault(of endpoint: AMQPEndpoint) -> String? {
    guard endpoint.scheme == .amqps else { return nil }
    let tls = applying(endpoint.parameters).tls
    if let fault = CertificateFile.fault(inAuthorities: tls.authorityFile) { return "\(tls.authorityFile) \(fault)" }
    guard let certificate = tls.certificateFile else {
      if tls.keyFile != nil {
        return "the key file \(tls.keyFile ?? "") has no certificate: set BATON_AMQP_CERT_FILE or certfile"
      }
      guard endpoint.parameters.mechanism == .external else { return nil }
      return "auth_mechanism=external needs a client certificate: set BATON_AMQP_CERT_FILE, or certfile in the URL"
    }
    return CertificateFile.fault(inCertificate: certificate, key: tls.keyFile ?? certificate)
  }
}
