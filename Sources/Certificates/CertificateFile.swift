internal import COpenSSL
internal import Glibc

/// Checks of PEM files with certificates and keys, without a network.
///
/// Files are read anew for every connection, so that a rotated certificate needs no restart. These checks are for the start, where a fault
/// can be named at once.
public enum CertificateFile {
  /// The most certificates of a file that are looked at; a bundle of a whole operating system has fewer.
  private static let countMax = 1_000

  /// What is wrong with a file of trusted certificates, as the second half of a sentence; nil if at least one of them is valid now.
  public static func fault(inAuthorities path: String) -> String? {
    switch certificates(path) {
    case .failure(let fault): return fault.text
    case .success(let found) where found.isEmpty: return "has no certificate in PEM (-----BEGIN CERTIFICATE-----)"
    case .success(let found):
      return found.contains { $0.lifetimeFault == nil }
        ? nil : found[0].lifetimeFault.map { "has only certificates that are not valid now: \($0)" }
    }
  }

  /// What is odd about a file of trusted certificates, one sentence each.
  public static func warnings(aboutAuthorities path: String) -> [String] {
    guard case .success(let found) = certificates(path) else { return [] }
    return found.compactMap { certificate in
      certificate.lifetimeFault.map { "\(path): a certificate is of no use: \($0)" }
    }
  }

  /// What is wrong with a certificate of this client and its key, as a sentence that names the file; nil if they can be used now.
  public static func fault(inCertificate certificate: String, key: String) -> String? {
    switch certificates(certificate) {
    case .failure(let fault): return "\(certificate) \(fault.text)"
    case .success(let found):
      guard let own = found.first else {
        return "\(certificate) has no certificate in PEM (-----BEGIN CERTIFICATE-----)"
      }
      if let fault = own.lifetimeFault { return "\(certificate) has a certificate that is not valid now: \(fault)" }
    }
    if let fault = readingFault(key) ?? accessFault(ofKey: key) { return "\(key) \(fault)" }
    switch baton_check_key(certificate, key) {
    case 1: return nil
    case 0: return "\(key) is not the key of the certificate in \(certificate)"
    case -1: return "\(certificate) cannot be used as a client certificate"
    default: return "\(key) has no private key in PEM without a passphrase"
    }
  }

  /// libpq's rule for key files: only their owner may read them, and, if root owns the file, its group.
  private static func accessFault(ofKey path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    let forbidden: mode_t = status.st_uid == 0 ? 0o037 : 0o077
    guard status.st_mode & forbidden != 0 else { return nil }
    return
      "can be read by others: allow only its owner (chmod 600), or root and a group (chmod 640; in Kubernetes defaultMode: 0440)"
  }

  /// Whether a file can be read now.
  public static func isReadable(_ path: String) -> Bool { readingFault(path) == nil }

  private struct Fault: Error {
    let text: String
  }

  private static func readingFault(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "cannot be read: \(String(cString: strerror(errno)))" }
    close(descriptor)
    return nil
  }

  private static func certificates(_ path: String) -> Result<[Certificate], Fault> {
    if let fault = readingFault(path) { return .failure(Fault(text: fault)) }
    return withUnsafeTemporaryAllocation(of: baton_certificate.self, capacity: countMax) { room in
      room.initialize(repeating: baton_certificate())
      let count = Int(baton_read_certificates(path, room.baseAddress, Int32(countMax)))
      guard count >= 0 else { return .failure(Fault(text: "has a certificate that cannot be read")) }
      return .success(room.prefix(count).map { Certificate($0) })
    }
  }
}

/// What is known about a certificate.
struct Certificate: Sendable, Equatable {
  var subject: String
  var issuer: String
  /// DNS names and IP addresses.
  var names: String
  var begin: String
  var end: String
  var hasBegun: Bool
  var hasEnded: Bool

  init(_ facts: baton_certificate) {
    subject = text(facts.subject)
    issuer = text(facts.issuer)
    names = text(facts.names)
    begin = text(facts.not_before)
    end = text(facts.not_after)
    hasBegun = facts.has_begun != 0
    hasEnded = facts.has_ended != 0
  }

  /// Why it is not valid at this time, with the time.
  var lifetimeFault: String? {
    if hasEnded { return "\(subject) has expired on \(end)" }
    return hasBegun ? nil : "\(subject) is valid only from \(begin) on"
  }
}

/// The text of a C array of characters. A certificate's text is from outside: control characters do not reach a log.
func text<Characters>(_ characters: Characters) -> String {
  let text = withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  return String(text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) })
}
