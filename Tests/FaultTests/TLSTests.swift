import Foundation
import PostgresClient
import Support
import Testing

/// The very executable with TLS to everything, as deploy/tls.md says, and with what must be refused.
@Suite("TLS", .timeLimit(.minutes(5)))
struct TLSTests {
  /// Runs a command to its end.
  private func run(_ arguments: String..., settings: [String: String]) async throws -> (status: Int32, output: String) {
    let process = try BatonProcess(arguments, settings: settings)
    let status = await process.wait()
    return (status, process.output)
  }

  @Test(
    "deploy/tls.md, followed word for word, gives a system that speaks TLS alone, to clients with a certificate alone")
  func page() async throws {
    let page = try TLSPage()
    defer { page.remove() }
    try await page.makeCertificates()
    let broker = try BrokerServer(plugins: ["rabbitmq_auth_mechanism_ssl"]) { page.brokerSettings(port: $0) }
    try await withOwnPostgres { postgres in
      try await broker.start()
      do {
        try await broker.control("add_user", "baton", uniqueName("unused"))
        try await broker.control("set_permissions", "baton", "^baton.*", "^baton.*", "^baton.*")
        try await page.configure(postgres)
        let settings = page.settings(brokerPort: broker.port + 2, postgresPort: postgres.listeningPort)
        var migrated = try await run("migrate", settings: settings)
        // Postgres reads its settings a moment later.
        for _ in 0..<20 where migrated.status != 0 { migrated = try await run("migrate", settings: settings) }
        #expect(migrated.status == 0, "\(migrated.output)")
        let listed = try await run("list", settings: settings)
        #expect(listed.status == 0, "\(listed.output)")
        try await refusals(settings)
      } catch {
        try? await broker.wipe()
        throw error
      }
      try await broker.wipe()
    }
  }

  /// What the same servers refuse, and how it reads.
  private func refusals(_ settings: [String: String]) async throws {
    var withoutCertificate = settings
    withoutCertificate["BATON_AMQP_CERT_FILE"] = nil
    withoutCertificate["BATON_AMQP_KEY_FILE"] = nil
    let external = try await run("migrate", settings: withoutCertificate)
    #expect(external.status == 78 && external.output.contains("needs a client certificate"), "\(external.output)")
    withoutCertificate["BATON_AMQP_URL"] = settings["BATON_AMQP_URL"]?.replacing("?auth_mechanism=external", with: "")
    let missing = try await run("migrate", settings: withoutCertificate)
    #expect(missing.status == 69 && missing.output.contains("set BATON_AMQP_CERT_FILE"), "\(missing.output)")

    var withoutAuthority = settings
    withoutAuthority["BATON_CA_FILE"] = nil
    let postgres = try await run("list", settings: withoutAuthority)
    #expect(postgres.status == 69 && postgres.output.contains("BATON_CA_FILE"), "\(postgres.output)")
    // libpq's own variable is as good as the setting.
    withoutAuthority["PGSSLROOTCERT"] = settings["BATON_CA_FILE"]
    let own = try await run("list", settings: withoutAuthority)
    #expect(own.status == 0, "\(own.output)")
    // OpenSSL's variable is for the broker.
    withoutAuthority["SSL_CERT_FILE"] = settings["BATON_CA_FILE"]
    let migrated = try await run("migrate", settings: withoutAuthority)
    #expect(migrated.status == 0, "\(migrated.output)")

    var plain = settings
    plain["BATON_DATABASE_URL"] = settings["BATON_DATABASE_URL"]?.replacing(
      "sslmode=verify-full", with: "sslmode=disable")
    let refused = try await run("list", settings: plain)
    #expect(refused.status != 0 && refused.output.contains("no encryption"), "\(refused.output)")
  }

  @Test("a certificate file that cannot be used ends every role with 78, the path and the cause")
  func files() async throws {
    try await withTestCertificates { files in
      let text = try files.write("hunter2", to: "text.pem")
      let needed = [
        "BATON_WORKER_TOKEN": "t", "BATON_DATABASE_URL": "postgresql://h/d", "BATON_AMQP_URL": "amqps://127.0.0.1:1",
      ]
      for (path, cause) in [
        (files.path("missing.pem"), "No such file"), (text, "no certificate in PEM"),
        (files.path("expired-ca.pem"), "CN=old authority has expired on"),
      ] {
        for role in ["serve", "worker", "list"] {
          let ended = try await run(role, settings: needed.merging(["BATON_CA_FILE": path]) { $1 })
          #expect(ended.status == 78 && ended.output.contains(path) && ended.output.contains(cause), "\(ended.output)")
          #expect(!ended.output.contains("hunter2"))
        }
      }
      let own = [
        "BATON_CA_FILE": files.path("ca.pem"), "BATON_AMQP_CERT_FILE": files.path("client.pem"),
        "BATON_AMQP_KEY_FILE": files.path("server.key"),
      ]
      let open = try await run("produce", settings: needed.merging(own) { $1 })
      #expect(open.status == 78 && open.output.contains("server.key can be read by others"), "\(open.output)")
    }
  }

  @Test("verification cannot be turned off, and tokens do not go to another machine without TLS")
  func refusedSettings() async throws {
    let needed = [
      "BATON_DATABASE_URL": "postgresql://h/d", "BATON_AMQP_URL": "amqps://127.0.0.1:1",
      "BATON_WORKER_URL": "http://127.0.0.1:1",
      "BATON_WORKER_TOKEN": "t", "BATON_ENCRYPTION_KEY": Data(repeating: 7, count: 32).base64EncodedString(),
    ]
    for (name, value, text) in [
      ("BATON_AMQP_URL", "amqps://u:hunter2@h?verify=verify_none", "verify_none is refused"),
      ("BATON_AMQP_URL", "amqp://u:hunter2@h?colour=blue", "'colour'"),
      ("BATON_GITHUB_API_URL", "http://github.example.com", "without encryption"),
      ("BATON_POSTHOG_URL", "http://posthog.example.com", "without encryption"),
    ] {
      let ended = try await run("consume", settings: needed.merging([name: value]) { $1 })
      #expect(ended.status == 78 && ended.output.contains(text) && ended.output.contains(name), "\(ended.output)")
      #expect(!ended.output.contains("hunter2"))
    }
  }

  @Test(
    "what a role sends to another machine without encryption is a warning at its start, each once, without a secret")
  func warnings() async throws {
    let process = try BatonProcess(
      ["consume"],
      settings: [
        "BATON_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d",
        "BATON_AMQP_URL": "amqp://u:hunter2@192.0.2.1:5672",
        "BATON_WORKER_URL": "http://192.0.2.2:9000", "BATON_WORKER_TOKEN": "hunter2",
        "BATON_ENCRYPTION_KEY": Data(repeating: 7, count: 32).base64EncodedString(),
      ])
    try await eventually("the role to wait for Postgres") { process.output.contains("waiting for Postgres") }
    process.signal(SIGTERM)
    _ = await process.wait()
    let warnings = process.output.split(separator: "\n").filter { $0.contains("without encryption") }
    #expect(warnings.count == 2, "\(process.output)")
    #expect(warnings.contains { $0.contains("192.0.2.1:5672") } && warnings.contains { $0.contains("192.0.2.2:9000") })
    #expect(!process.output.contains("hunter2"))
  }
}

/// The blocks of deploy/tls.md, with a folder in the place of those below /etc, and this machine in the place of the servers.
private struct TLSPage {
  private let folder: String
  private let blocks: [(kind: String, text: String)]

  init() throws {
    folder = "/tmp/\(uniqueName("tls-page"))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appendingPathComponent("deploy/tls.md"), encoding: .utf8)
    blocks = text.matches(of: /(?ms)^```([a-z]+)\n(.*?)^```$/).map { (String($0.1), String($0.2)) }
  }

  private func block(_ kind: String, having text: String) -> String {
    let found = blocks.first { $0.kind == kind && $0.text.contains(text) }?.text ?? ""
    return ["/etc/rabbitmq/tls", "/etc/postgresql/tls", "/etc/baton/tls"].reduce(found) {
      $0.replacing($1, with: folder)
    }
  }

  func makeCertificates() async throws {
    let commands = block("sh", having: "openssl").replacing("=rabbitmq.example.com", with: "=localhost").replacing(
      "=postgres.example.com", with: "=localhost")
    _ = try await runCommand("/bin/sh", ["-ec", "cd '\(folder)'\n\(commands)\nchmod 644 rabbitmq.key; chmod 755 ."])
  }

  /// The page's own, but for the ports: the script that starts the broker looks at the one without TLS.
  func brokerSettings(port: Int) -> String {
    block("ini", having: "listeners.ssl").replacing("listeners.tcp = none\n", with: "").replacing(
      "listeners.ssl.default = 5671", with: "listeners.ssl.1 = 127.0.0.1:\(port + 2)")
  }

  func configure(_ postgres: OwnPostgres) async throws {
    let server = try await PostgresConnection.connect(
      PostgresConfiguration(conninfo: postgres.url, applicationName: "test"), logger: .postgresTests)
    for command in ["CREATE ROLE baton LOGIN", "CREATE DATABASE baton OWNER baton"] {
      _ = try await server.query(PostgresStatement(unprepared: command))
    }
    await server.close()
    let names = ["ca.pem", "postgres.pem", "postgres.key"]
    try await postgres.useTLS(
      settings: block("ini", having: "ssl_cert_file").replacing("\(folder)/", with: ""),
      files: Dictionary(uniqueKeysWithValues: names.map { ($0, "\(folder)/\($0)") }),
      access: block("text", having: "hostssl"))
  }

  func settings(brokerPort: Int, postgresPort: Int) -> [String: String] {
    let lines = block("sh", having: "export BATON_CA_FILE").split(separator: "\n")
    let pairs = lines.compactMap { line -> (String, String)? in
      let parts = line.dropFirst("export ".count).split(separator: "=", maxSplits: 1)
      let value = String(parts[1]).replacing("\"", with: "").replacing(
        "rabbitmq.example.com", with: "localhost:\(brokerPort)")
      return (String(parts[0]), value.replacing("postgres.example.com", with: "localhost:\(postgresPort)"))
    }
    return Dictionary(pairs) { $1 }
  }

  func remove() { try? FileManager.default.removeItem(atPath: folder) }
}
