internal import Certificates

/// The TLS parameters of a connection string, as libpq completes them.
struct TLSPlan: Sendable {
  private let mode: String
  private let authorities: String?
  private let certificate: String?
  private let key: String?

  init(_ effective: [String: String]) {
    mode = effective["sslmode"] ?? "prefer"
    authorities = effective["sslrootcert"].flatMap { $0.isEmpty ? nil : $0 }
    certificate = effective["sslcert"].flatMap { $0.isEmpty ? nil : $0 }
    key = effective["sslkey"].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// Whether an encrypted session is one with the server that was meant.
  var verifies: Bool { mode == "verify-full" || mode == "verify-ca" }

  /// Whether a message of libpq, or of the server, is about TLS.
  static func isFault(_ message: String) -> Bool {
    ["SSL", "certificate"].contains { message.contains($0) }
  }

  /// What to do about a fault that a look at the server does not explain.
  static func advice(_ message: String, _ look: TLSLook) -> String? {
    message.contains("root certificate file")
      ? "set \(look.authoritySetting) to the file of the server's authority" : nil
  }

  /// What to look at if TLS fails with a server; nil if there is no TLS.
  func look(at target: ConnectPlan.Target) -> TLSLook? {
    guard mode != "disable", !target.address.isEmpty else { return nil }
    var look = TLSLook(
      address: target.address, port: Int(target.host.port) ?? 5_432,
      name: target.host.name.isEmpty ? target.address : target.host.name, authorities: authorities.map { [$0] } ?? [],
      authoritySetting: "BATON_CA_FILE (or sslrootcert in BATON_DATABASE_URL)")
    look.prelude = .postgres
    look.comparesName = mode == "verify-full"
    look.certificateSetting = "sslcert and sslkey in BATON_DATABASE_URL"
    if let certificate { look.ownCertificate = .init(file: certificate, keyFile: key ?? certificate) }
    return look
  }
}
