internal import COpenSSL

/// Finds out why a TLS connection to a server fails, and says it in words.
///
/// TLS libraries say only "certificate verify failed". So, after such a failure, one more connection looks at the server's certificate. It
/// decides nothing, and sends nothing but a handshake.
public struct TLSLook: Sendable, Hashable {
  /// What is spoken before TLS begins.
  public enum Prelude: Sendable, Hashable {
    /// Nothing.
    case none
    /// The request for TLS of Postgres.
    case postgres
  }

  /// The name or the address that is connected to.
  public var address: String
  /// The port.
  public var port: Int
  /// The name, or the IP address, that the certificate must have.
  public var name: String
  /// What is spoken before TLS begins.
  public var prelude = Prelude.none
  /// Whether the certificate must have the name.
  public var comparesName = true
  /// PEM files of trusted certificates; without any, nothing is verified.
  public var authorities: [String]
  /// The client's own certificate and its key; PEM files.
  public var ownCertificate: OwnCertificate?
  /// What to set if the server's authority is not trusted: `BATON_CA_FILE`.
  public var authoritySetting: String
  /// What to set if the server wants a client certificate; empty if there is no such setting.
  public var certificateSetting = ""
  /// The longest time of each step.
  public var timeout: Duration = .seconds(3)

  /// A certificate with its key.
  public struct OwnCertificate: Sendable, Hashable {
    /// A PEM file.
    public var file: String
    /// A PEM file without a passphrase.
    public var keyFile: String

    /// Names the files.
    public init(file: String, keyFile: String) { (self.file, self.keyFile) = (file, keyFile) }
  }

  /// - Parameters:
  ///   - address: host name or IP address.
  ///   - port: of the server.
  ///   - name: what the certificate has to be made out to.
  ///   - authorities: files of certificates that are trusted; if empty, those of the system.
  ///   - authoritySetting: the setting's name, for the message.
  public init(address: String, port: Int, name: String, authorities: [String], authoritySetting: String) {
    (self.address, self.port, self.name) = (address, port, name)
    (self.authorities, self.authoritySetting) = (authorities, authoritySetting)
  }

  /// Looks at the server. Blocks the thread, for a few seconds at most, and for the look-up of a name.
  /// - Returns: why a client fails, with what to do; nil if the look found no fault, or had no connection.
  public func fault() -> String? {
    let milliseconds = Int32(clamping: timeout.components.seconds * 1000)
    let finding = baton_look_at_server(
      address, String(port), name, IPAddress.isOne(name) ? 1 : 0, comparesName ? 1 : 0, prelude == .postgres ? 1 : 0,
      authorities.first,
      authorities.dropFirst().first, ownCertificate?.file, ownCertificate?.keyFile, milliseconds)
    switch Int(finding.stage) {
    case BATON_TLS_NOT_OFFERED: return "the server has no TLS (ssl = off)"
    case BATON_TLS_NO_HANDSHAKE: return Self.handshakeFault(text(finding.reason), certificateSetting)
    case BATON_TLS_REFUSED: return Self.handshakeFault(text(finding.reason), certificateSetting)
    case BATON_TLS_UNTRUSTED: return certificateFault(finding)
    default: return nil
    }
  }

  private func certificateFault(_ finding: baton_tls_finding) -> String {
    let server = Certificate(finding.certificate)
    let cause = Certificate(finding.cause)
    let trust = "set \(authoritySetting) to the file of the authority that signed it"
    switch Int32(clamping: finding.verification) {
    case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
      let names = server.names.isEmpty ? "no name at all (only the subject \(server.subject))" : server.names
      return
        "the server's certificate is for \(names), not for \(name): connect by a name that it has, or give the server "
        + "a certificate with \(name)"
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "the certificate \(cause.subject) has expired on \(cause.end): renew it at the server"
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return
        "the certificate \(cause.subject) is valid only from \(cause.begin) on: check the clock of this machine, or renew it"
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return
        "the server's certificate \(server.subject) is self-signed and not trusted: \(trust), or to the certificate itself"
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
      X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_UNTRUSTED:
      return "the server's certificate \(server.subject) is signed by \(server.issuer), which is not trusted: \(trust)"
    default:
      let reason = X509_verify_cert_error_string(finding.verification).map { String(cString: $0) } ?? "not trusted"
      return "the server's certificate \(server.subject) is refused: \(reason)"
    }
  }

  /// Says what a handshake failed for.
  /// - Parameter reason: OpenSSL's text.
  static func handshakeFault(_ reason: String, _ certificateSetting: String) -> String {
    let own = certificateSetting.isEmpty ? "which Baton has no setting for here" : "set \(certificateSetting)"
    switch reason {
    case "wrong version number", "http request", "packet length too long", "record layer failure":
      return "the port does not speak TLS: give the port of TLS, or check that the server has it"
    case "unsupported protocol", "tlsv1 alert protocol version", "version too low":
      return "the server offers only versions of TLS that are too old: TLS 1.2 or later is needed"
    case "tlsv13 alert certificate required", "sslv3 alert handshake failure":
      return "the server refuses the handshake (\(reason)): it may want a client certificate, \(own)"
    case "tlsv1 alert unknown ca", "sslv3 alert bad certificate", "sslv3 alert certificate unknown",
      "sslv3 alert certificate expired", "sslv3 alert unsupported certificate", "sslv3 alert certificate revoked",
      "tlsv1 alert access denied":
      return
        "the server refuses the client certificate (\(reason)): check that an authority of the server's signed it, and "
        + "that it is still valid"
    case "", "unexpected eof while reading":
      return "the server ended the connection during the TLS handshake: it may be that the port does not speak TLS"
    default: return "the TLS handshake failed: \(reason)"
    }
  }
}

/// Texts that are IP addresses.
public enum IPAddress {
  /// Whether a host is an IP address, without brackets, and not a name.
  public static func isOne(_ host: String) -> Bool {
    var room = in6_addr()
    return inet_pton(AF_INET, host, &room) == 1 || inet_pton(AF_INET6, host, &room) == 1
  }

  /// Whether a host, with or without brackets, is this machine, where a secret without encryption is shown to no other one. A name that
  /// merely begins like a loopback address is not one.
  public static func isLoopback(_ host: String) -> Bool {
    var host = host.lowercased()
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    if host == "localhost" { return true }
    var four = in_addr()
    if inet_pton(AF_INET, host, &four) == 1 { return UInt32(bigEndian: four.s_addr) >> 24 == 127 }
    var six = in6_addr()
    guard inet_pton(AF_INET6, host, &six) == 1 else { return false }
    return withUnsafeBytes(of: six) { $0.dropLast().allSatisfy { $0 == 0 } && $0.last == 1 }
  }
}
