import Foundation

/// Certificates for tests: of an authority for `localhost` and 127.0.0.1, and others that must be refused.
package struct TestCertificates: Sendable {
  private let folder: String

  /// Makes them with openssl.
  package init() async throws {
    folder = "/tmp/\(uniqueName("certificates"))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let commands = """
      set -e; cd '\(folder)'; umask 022
      key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
      openssl req -x509 $key -keyout ca.key -out ca.pem -days 2 -subj '/CN=test authority'
      openssl req -x509 $key -keyout other-ca.key -out other-ca.pem -days 2 -subj '/CN=other authority'
      openssl req -new -key ca.key -out expired-ca.csr -subj '/CN=old authority'
      openssl x509 -req -in expired-ca.csr -signkey ca.key -days -1 -out expired-ca.pem
      names='subjectAltName=DNS:localhost,IP:127.0.0.1'
      openssl req -x509 $key -keyout self-signed.key -out self-signed.pem -days 2 -subj '/CN=localhost' -addext "$names" \
        -addext 'basicConstraints=CA:FALSE'
      openssl req $key -keyout server.key -out server.csr -subj '/CN=localhost' -addext "$names"
      openssl req -new -key server.key -out elsewhere.csr -subj '/CN=localhost' \
        -addext 'subjectAltName=DNS:elsewhere.example,IP:10.9.8.7'
      sign() { openssl x509 -req -in "$1" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -copy_extensions copy -days "$3" -out "$4"; }
      sign server.csr ca 2 server.pem
      sign server.csr other-ca 2 other-server.pem
      sign server.csr ca -1 expired.pem
      sign elsewhere.csr ca 2 elsewhere.pem
      printf '%s\\n' '[ca]' 'default_ca=d' '[d]' 'database=index' 'serial=serial' 'new_certs_dir=.' 'default_md=sha256' \
        'policy=p' 'copy_extensions=copy' '[p]' 'commonName=supplied' >ca.conf
      : >index; echo 1000 >serial
      openssl ca -batch -notext -config ca.conf -cert ca.pem -keyfile ca.key -in server.csr -out future.pem \
        -startdate 20990101000000Z -enddate 20990201000000Z
      openssl req $key -keyout client.key -out client.csr -subj '/CN=baton'
      sign client.csr ca 2 client.pem
      sign client.csr other-ca 2 other-client.pem
      chmod 755 .; chmod 644 server.key self-signed.key; chmod 600 client.key
      """
    _ = try await runCommand("/bin/sh", ["-c", commands])
  }

  /// The path of one of them: `ca.pem`, `server.key`.
  package func path(_ name: String) -> String { "\(folder)/\(name)" }

  /// Writes a file into their folder.
  package func write(_ text: String, to name: String, mode: Int = 0o644) throws -> String {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path(name)))
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path(name))
    return path(name)
  }

  /// The text of one of them.
  package func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }

  /// Removes them.
  package func remove() { try? FileManager.default.removeItem(atPath: folder) }
}

/// Runs the body with certificates of its own.
package func withTestCertificates<Result>(
  isolation: isolated (any Actor)? = #isolation, _ body: (TestCertificates) async throws -> Result
) async throws -> Result {
  let certificates = try await TestCertificates()
  defer { certificates.remove() }
  return try await body(certificates)
}
