import Foundation
import Logging
import PostgresClient
import Support
import Testing

@Suite("Postgres over TLS", .timeLimit(.minutes(5)))
struct PostgresTLSTests {
  private static let isEncrypted = PostgresStatement(
    unprepared: "SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")

  private func configuration(
    _ server: OwnPostgres, host: String = "localhost", query: String = "", authority: String?
  ) -> PostgresConfiguration {
    var configuration = PostgresConfiguration(
      conninfo: "postgresql://postgres@\(host):\(server.listeningPort)/postgres?connect_timeout=20\(query)",
      applicationName: "tls")
    configuration.authorityFile = authority
    return configuration
  }

  /// Whether a session is encrypted, and as whom the client has shown itself.
  private func session(_ configuration: PostgresConfiguration) async throws -> (isEncrypted: Bool, client: String?) {
    let connection = try await PostgresConnection.connect(configuration, logger: .postgresTests)
    let row = try await connection.query(Self.isEncrypted)[0]
    await connection.close()
    return (try row.decode(0, as: Bool.self), try row.decode(1, as: String?.self))
  }

  private func refusal(_ configuration: PostgresConfiguration) async -> String {
    do {
      _ = try await session(configuration)
      return "accepted"
    } catch {
      return "\(error)"
    }
  }

  /// The server has read a new certificate when a new session shows it.
  private func use(_ server: OwnPostgres, _ files: TestCertificates, _ certificate: String, key: String = "server.key")
    async throws
  {
    try await server.useTLS(certificate: files.path(certificate), key: files.path(key))
  }

  @Test(
    "a private authority is trusted by name and by IP address, and every other certificate is refused with the cause")
  func serverCertificates() async throws {
    try await withTestCertificates { files in
      try await withOwnPostgres { server in
        try await use(server, files, "server.pem")
        let ca = files.path("ca.pem")
        for host in ["localhost", "127.0.0.1"] {
          let verified = configuration(server, host: host, query: "&sslmode=verify-full", authority: ca)
          try await eventually("the new certificate") { (try? await session(verified).isEncrypted) == true }
        }
        let own = configuration(
          server, query: "&sslmode=verify-full&sslrootcert=\(ca)", authority: files.path("other-ca.pem"))
        #expect(try await session(own).isEncrypted)
        let other = await refusal(
          configuration(server, query: "&sslmode=verify-full", authority: files.path("other-ca.pem")))
        #expect(other.contains("signed by CN=test authority, which is not trusted: set BATON_CA_FILE"), "\(other)")
        for (certificate, key, text) in [
          ("elsewhere.pem", "server.key", "is for elsewhere.example, 10.9.8.7, not for localhost"),
          ("expired.pem", "server.key", "CN=localhost has expired on 20"),
          ("self-signed.pem", "self-signed.key", "CN=localhost is self-signed and not trusted"),
        ] {
          try await use(server, files, certificate, key: key)
          let verified = configuration(server, query: "&sslmode=verify-full", authority: ca)
          try await eventually("\(certificate)") { await refusal(verified).contains(text) }
        }
      }
    }
  }

  @Test("with an authority, servers elsewhere must have TLS unless the connection string says otherwise")
  func defaultMode() async throws {
    try await withTestCertificates { files in
      try await withOwnPostgres { server in
        let elsewhere = "&hostaddr=127.0.0.1"
        let ca = files.path("ca.pem")
        // Without TLS at the server.
        #expect(try await session(configuration(server, query: "", authority: ca)).isEncrypted == false)
        let refused = await refusal(configuration(server, host: "db.example", query: elsewhere, authority: ca))
        #expect(refused.contains("the server has no TLS"), "\(refused)")
        let asked = configuration(server, host: "db.example", query: elsewhere + "&sslmode=disable", authority: ca)
        #expect(try await session(asked).isEncrypted == false)
        // Its certificate is for another host.
        try await use(server, files, "server.pem")
        try await eventually("the new certificate") {
          await refusal(configuration(server, host: "db.example", query: elsewhere, authority: ca)).contains(
            "is for localhost, 127.0.0.1, not for db.example")
        }
      }
    }
  }

  @Test("a client certificate of the connection string is shown, and one that is missing is named")
  func clientCertificates() async throws {
    try await withTestCertificates { files in
      try await withOwnPostgres { server in
        try await server.useTLS(
          certificate: files.path("server.pem"), key: files.path("server.key"), clientAuthority: files.path("ca.pem"),
          access:
            "local all all trust\nhostssl all all 127.0.0.1/32 trust clientcert=verify-ca\nhost all all ::1/128 trust\n"
        )
        let ca = files.path("ca.pem")
        let own = "&sslmode=verify-full&sslcert=\(files.path("client.pem"))&sslkey=\(files.path("client.key"))"
        try await eventually("the new certificate") {
          (try? await session(configuration(server, query: own, authority: ca)).client) == "/CN=baton"
        }
        let missing = await refusal(configuration(server, query: "&sslmode=verify-full", authority: ca))
        #expect(missing.contains("requires a valid client certificate"), "\(missing)")
        let unknown =
          "&sslmode=verify-full&sslcert=\(files.path("other-client.pem"))&sslkey=\(files.path("client.key"))"
        let refused = await refusal(configuration(server, query: unknown, authority: ca))
        #expect(refused.contains("refuses the client certificate"), "\(refused)")
        let open = try files.write(files.text("client.key"), to: "open.key", mode: 0o644)
        let readable = own.replacing("client.key", with: "open.key")
        #expect(await refusal(configuration(server, query: readable, authority: ca)).contains(open))
      }
    }
  }

  @Test("a session with another machine that is not encrypted, or not verified, is a warning once")
  func warnings() async throws {
    try await withTestCertificates { files in
      try await withOwnPostgres { server in
        func warnings(_ query: String, times: Int = 2) async throws -> [String] {
          let log = CapturedLog()
          let configuration = configuration(
            server, host: "db.example", query: "&hostaddr=127.0.0.1" + query, authority: nil)
          for _ in 0..<times {
            let connection = try await PostgresConnection.connect(configuration, logger: log.logger)
            await connection.close()
          }
          return log.lines().filter { $0.contains("session with Postgres") }
        }
        let plain = try await warnings("")
        #expect(plain.count == 1 && plain[0].contains("is not encrypted"), "\(plain)")
        try await use(server, files, "server.pem")
        try await eventually("the new certificate") {
          let unverified = try await warnings("&sslmode=require")
          return unverified.count == 1 && unverified[0].contains("the server is not verified")
        }
        let log = CapturedLog()
        let here = try await PostgresConnection.connect(
          configuration(server, query: "&sslmode=disable", authority: nil), logger: log.logger)
        await here.close()
        #expect(!log.lines().contains { $0.contains("session with Postgres") })
      }
    }
  }
}
