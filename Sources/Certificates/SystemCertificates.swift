internal import Glibc

/// The certificates that this machine trusts.
public enum SystemCertificates {
  /// Debian's, Ubuntu's, Alpine's; Fedora's; SUSE's.
  private static let places = [
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
  ]

  /// The file with all of them: what `SSL_CERT_FILE` names, or the system's own. It may be missing.
  public static var file: String {
    if let given = getenv("SSL_CERT_FILE").map({ String(cString: $0) }), !given.isEmpty { return given }
    return places.first { access($0, R_OK) == 0 } ?? places[0]
  }
}
