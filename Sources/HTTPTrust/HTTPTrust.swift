internal import Certificates
internal import Glibc
internal import NIOCore
internal import NIOPosix
package import NIOSSL
internal import Synchronization

/// Whom the HTTP clients of a process trust: the system's certificates, and those of one more file.
///
/// Verification cannot be turned off. TLS 1.2 is the least. A file that is replaced counts from the next connection on; one that cannot be
/// read then leaves what is known.
package final class HTTPTrust: Sendable {
  /// What an HTTP client is made with. Its requests name ``replacement``.
  package let initial: TLSConfiguration
  /// A PEM file of authorities that are trusted in addition to the system's: BATON_CA_FILE.
  private let authorityFile: String?
  private let state: Mutex<State>
  private let looks = Mutex<[String: Look]>([:])

  private struct State {
    var stamp: FileStamp?
    var configuration: TLSConfiguration
    var version = 0
  }

  /// The last look at a server, which serves all that ask while it is under way and for a while after.
  private struct Look {
    var until: ContinuousClock.Instant
    var task: Task<String?, Never>
  }

  package init(authorityFile: String? = nil) {
    self.authorityFile = authorityFile
    let stamp = authorityFile.flatMap { FileStamp($0) }
    initial = Self.configuration(authorityFile) ?? .makeClientConfiguration()
    state = Mutex(State(stamp: stamp, configuration: initial))
  }

  /// What counts in place of ``initial``, once the file was replaced; nil until then. A client compares the whole configuration that a request
  /// names with those of its connections, so mostly there is to be none.
  package var replacement: TLSConfiguration? {
    let (configuration, version) = current
    return version == 0 ? nil : configuration
  }

  /// What a client is made with at this moment.
  package var clientConfiguration: TLSConfiguration { current.configuration }

  /// Changes whenever the configuration does.
  package var current: (configuration: TLSConfiguration, version: Int) {
    let stamp = authorityFile.flatMap { FileStamp($0) }
    return state.withLock { state in
      if let stamp, stamp != state.stamp, let configuration = Self.configuration(authorityFile) {
        (state.stamp, state.configuration) = (stamp, configuration)
        state.version += 1
      }
      return (state.configuration, state.version)
    }
  }

  /// - Returns: nil if the file cannot be read.
  private static func configuration(_ authorityFile: String?) -> TLSConfiguration? {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.minimumTLSVersion = .tlsv12
    configuration.certificateVerification = .fullVerification
    let system = SystemCertificates.file
    let hasSystem = CertificateFile.isReadable(system)
    if hasSystem { configuration.trustRoots = .file(system) }
    guard let authorityFile else { return configuration }
    guard let own = try? NIOSSLCertificate.fromPEMFile(authorityFile), !own.isEmpty else { return nil }
    // A system without certificates, as a small container is, trusts only these.
    if hasSystem {
      configuration.additionalTrustRoots = [.certificates(own)]
    } else {
      configuration.trustRoots = .certificates(own)
    }
    return configuration
  }

  // MARK: Faults

  /// How long what was seen of a server holds.
  private static let lookLifetime: Duration = .seconds(10)
  /// Servers that are remembered at once.
  private static let lookCountMax = 64

  /// Why TLS with a server fails, with what to do; nil if `error` is none of TLS.
  ///
  /// Looks at the server's certificate by a connection of its own, one at a time for each server.
  package func fault(_ error: any Error, host: String, port: Int) async -> String? {
    guard Self.isOfTLS(error) else { return nil }
    let host = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
    return "TLS: \(await look(host, port) ?? Self.shortText(error))"
  }

  private func look(_ host: String, _ port: Int) async -> String? {
    let now = ContinuousClock.now
    let authorities = [SystemCertificates.file, authorityFile].compactMap { $0 }.filter {
      CertificateFile.isReadable($0)
    }
    var question = TLSLook(
      address: host, port: port, name: host, authorities: authorities, authoritySetting: "BATON_CA_FILE")
    question.timeout = .seconds(2)
    let task = looks.withLock { [question] looks in
      if let known = looks["\(host):\(port)"], known.until > now { return known.task }
      if looks.count >= Self.lookCountMax { looks.removeAll() }
      let task = Task<String?, Never> {
        // `Optional` twice: the pool may be shut down.
        (try? await NIOThreadPool.singleton.runIfActive { question.fault() }) ?? nil
      }
      looks["\(host):\(port)"] = Look(until: now + Self.lookLifetime, task: task)
      return task
    }
    return await task.value
  }

  /// Whether an error is one of TLS.
  package static func isOfTLS(_ error: any Error) -> Bool {
    error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError
  }

  /// Whether the server has refused the handshake of this client, which with TLS 1.3 is heard of only after the first bytes were sent:
  /// nothing of them was read.
  package static func isRefusedHandshake(_ error: any Error) -> Bool {
    let text = "\(error)"
    return isOfTLS(error)
      && [
        "ALERT_CERTIFICATE", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "CERTIFICATE_REQUIRED", "ALERT_ACCESS_DENIED",
      ]
      .contains { text.contains($0) }
  }

  /// BoringSSL's reason without the place in its source.
  private static func shortText(_ error: any Error) -> String {
    let text = "\(error)"
    let reason = text.split(separator: ":").last {
      $0.contains("_") && $0.allSatisfy { $0.isUppercase || $0.isNumber || $0 == "_" || $0 == " " }
    }
    return reason.map { $0.split(separator: " ").first.map(String.init) ?? text } ?? String(text.prefix(200))
  }
}

/// What changes when a file is replaced.
private struct FileStamp: Equatable {
  private let device: UInt
  private let node: UInt
  private let size: Int
  private let seconds: Int
  private let nanoseconds: Int

  /// nil if there is no such file.
  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    (device, node, size) = (UInt(status.st_dev), UInt(status.st_ino), Int(status.st_size))
    (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
  }
}
