import Certificates
import Foundation
import Support
import Testing

@Suite("Files of certificates and keys")
struct CertificateFileTests {
  @Test("a file of authorities that cannot be used is a fault that says why")
  func authorities() async throws {
    try await withTestCertificates { files in
      func fault(_ path: String) -> String { CertificateFile.fault(inAuthorities: path) ?? "" }
      #expect(fault(files.path("ca.pem")) == "")
      #expect(fault(files.path("missing.pem")).contains("cannot be read: No such file"))
      #expect(fault("/tmp").contains("certificate"))
      #expect(fault(try files.write("hunter2", to: "no.pem")).contains("no certificate in PEM"))
      #expect(fault(try files.write("", to: "empty.pem")).contains("no certificate in PEM"))
      #expect(fault(files.path("server.key")).contains("no certificate in PEM"))
      let cut = try files.write(String(try files.text("ca.pem").prefix(200)), to: "cut.pem")
      #expect(fault(cut).contains("cannot be read"))
      let expired = fault(files.path("expired-ca.pem"))
      #expect(expired.contains("CN=old authority has expired on 20"), "\(expired)")
    }
  }

  @Test("a bundle is good with one certificate that is valid, and the others are warnings")
  func bundle() async throws {
    try await withTestCertificates { files in
      let bundle = try files.write(files.text("expired-ca.pem") + files.text("ca.pem"), to: "bundle.pem")
      #expect(CertificateFile.fault(inAuthorities: bundle) == nil)
      let warnings = CertificateFile.warnings(aboutAuthorities: bundle)
      #expect(
        warnings.count == 1 && warnings[0].contains(bundle) && warnings[0].contains("old authority"), "\(warnings)")
      #expect(CertificateFile.warnings(aboutAuthorities: files.path("ca.pem")) == [])
    }
  }

  @Test("a client certificate is checked together with its key, which only its owner may read")
  func client() async throws {
    try await withTestCertificates { files in
      func fault(_ certificate: String, _ key: String) -> String {
        CertificateFile.fault(inCertificate: files.path(certificate), key: files.path(key)) ?? ""
      }
      #expect(fault("client.pem", "client.key") == "")
      #expect(
        fault("client.pem", "ca.key").contains(
          "ca.key is not the key of the certificate in \(files.path("client.pem"))"))
      #expect(fault("missing.pem", "client.key").contains("missing.pem cannot be read"))
      #expect(fault("client.pem", "missing.key").contains("missing.key cannot be read"))
      #expect(fault("client.key", "client.key").contains("no certificate in PEM"))
      #expect(
        fault("client.pem", "client.pem").contains("private key")
          || fault("client.pem", "client.pem").contains("others"))
      #expect(fault("expired.pem", "server.key").contains("has expired on"))
      _ = try files.write(files.text("client.key"), to: "open.key", mode: 0o644)
      #expect(fault("client.pem", "open.key").contains("can be read by others"))
    }
  }

  @Test("an address is one only in its own form, and loopback only if it is this machine's")
  func addresses() {
    for host in ["127.0.0.1", "::1", "10.0.0.1", "fe80::1", "0:0:0:0:0:0:0:1"] {
      #expect(IPAddress.isOne(host), "\(host)")
    }
    for host in ["localhost", "127.0.0", "127.0.0.1.example.com", "[::1]", ""] {
      #expect(!IPAddress.isOne(host), "\(host)")
    }
    for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.255.0.9", "::1", "[::1]", "0:0:0:0:0:0:0:1"] {
      #expect(IPAddress.isLoopback(host), "\(host)")
    }
    for host in [
      "127.evil.example", "localhost.example.com", "[::2]", "0.0.0.0", "::", "10.0.0.1", "", "127.0.0.1.nip.io",
    ] {
      #expect(!IPAddress.isLoopback(host), "\(host)")
    }
  }
}
