import AMQPClient
import Foundation
import Support
import Testing

@Suite("AMQP over TLS", .serialized, .tlsBroker, .timeLimit(.minutes(5)))
struct AMQPTLSTests {
  private let broker: BrokerServer
  private let files: TestCertificates

  init() throws {
    broker = try #require(OwnBroker.current)
    files = try #require(TLSBrokerTrait.files)
  }

  /// The broker wants a certificate of the client.
  private func configuration(
    host: String = "localhost", port: Int? = nil, authority: String = "ca.pem", client: String? = "client.pem",
    query: String = ""
  ) throws -> AMQPConfiguration {
    var configuration = try broker.configuration()
    configuration.endpoints = [try AMQPEndpoint(url: "amqps://\(host):\(port ?? broker.port + 2)\(query)")]
    configuration.tls.authorityFile = files.path(authority)
    configuration.tls.certificateFile = client.map { files.path($0) }
    configuration.tls.keyFile = client.map { _ in files.path("client.key") }
    return configuration
  }

  private func refusal(_ configuration: AMQPConfiguration) async throws -> AMQPError {
    let error = await #expect(throws: AMQPError.self) { try await withAMQPConnection(configuration) { _ in } }
    return try #require(error)
  }

  @Test("messages are published and consumed over TLS, small and large")
  func publishes() async throws {
    let name = uniqueName("queue")
    let topology = AMQPTopology(queues: [.quorum(name)])
    let body = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
    try await withPublisher(topology, configuration()) { publisher in
      let outcomes = await publisher.publish(
        (0..<300).map {
          AMQPPublication(AMQPMessage(body: $0 == 299 ? body : [1]), exchange: "", routingKey: name)
        }, timeout: .seconds(30))
      #expect(outcomes.allSatisfy { $0 == .confirmed })
    }
    try await withConsumer(topology, queue: name, configuration()) { consumer in
      var count = 0
      for await delivery in consumer.deliveries {
        count += 1
        #expect(consumer.acknowledge(delivery) == .sent)
        if count == 300 {
          #expect(delivery.body == body)
          break
        }
      }
    }
  }

  @Test("an IP address is accepted if the certificate has it, also by another name for it in the URL")
  func addresses() async throws {
    for query in ["", "?server_name_indication=localhost"] {
      try await withAMQPConnection(configuration(host: "127.0.0.1", query: query)) { _ in }
    }
    let error = try await refusal(configuration(host: "127.0.0.1", query: "?server_name_indication=mq.example"))
    #expect(error.text.contains("is for localhost, 127.0.0.1, not for mq.example"), "\(error)")
  }

  @Test("the files of the URL win over those of the configuration")
  func urlFiles() async throws {
    let query =
      "?cacertfile=\(files.path("ca.pem"))&certfile=\(files.path("client.pem"))&keyfile=\(files.path("client.key"))"
    try await withAMQPConnection(configuration(authority: "other-ca.pem", client: nil, query: query)) { _ in }
  }

  @Test("SASL EXTERNAL logs in as the certificate's name, without a password")
  func external() async throws {
    try await broker.control("add_user", "baton", uniqueName("unused"))
    try await broker.control("set_permissions", "baton", ".*", ".*", ".*")
    let external = try configuration(query: "?auth_mechanism=external")
    try await withAMQPConnection(external) { _ in
      let users = try await broker.control("list_connections", "user", "auth_mechanism")
      #expect(users.contains("baton\tEXTERNAL"), "\(users)")
    }
    try await broker.control("delete_user", "baton")
    #expect(try await refusal(external).cause == .credentials)
  }

  @Test("an authority that is not the broker's, and a client certificate that is missing or not right, are named")
  func named() async throws {
    let authority = try await refusal(configuration(authority: "other-ca.pem"))
    #expect(authority.isConnectionLost && !authority.isPermanent)
    #expect(
      authority.text.contains("signed by CN=test authority, which is not trusted: set BATON_CA_FILE"), "\(authority)")
    let missing = try await refusal(configuration(client: nil))
    #expect(missing.isConnectionLost && missing.text.contains("set BATON_AMQP_CERT_FILE"), "\(missing)")
    let unknown = try await refusal(configuration(client: "other-client.pem"))
    #expect(unknown.isConnectionLost && unknown.text.contains("refuses the client certificate"), "\(unknown)")
  }

  @Test("TLS to the port without it, and no TLS to the port with it, are refused")
  func ports() async throws {
    let error = try await refusal(configuration(port: broker.port))
    #expect(error.text.contains("the port does not speak TLS"), "\(error)")
    var plain = try broker.configuration()
    plain.endpoints = [AMQPEndpoint(host: "localhost", port: broker.port + 2)]
    #expect(try await refusal(plain).isConnectionLost)
  }

  static let refusals: [(certificate: String, key: String, text: String)] = [
    ("elsewhere.pem", "server.key", "is for elsewhere.example, 10.9.8.7, not for localhost"),
    ("expired.pem", "server.key", "CN=localhost has expired on 20"),
    ("future.pem", "server.key", "is valid only from 2099-01-01 00:00 UTC on"),
    ("self-signed.pem", "self-signed.key", "CN=localhost is self-signed and not trusted"),
  ]

  @Test("a server's certificate that is not right is refused with the cause", arguments: refusals)
  func certificates(certificate: String, key: String, text: String) async throws {
    let server = try await TLSServer(certificate: files.path(certificate), key: files.path(key))
    let error = try await refusal(configuration(port: server.port))
    #expect(error.isConnectionLost && !error.isPermanent && error.text.contains(text), "\(error)")
    try await server.stop()
  }

  @Test("an IP address that the certificate does not have is refused")
  func wrongAddress() async throws {
    let server = try await TLSServer(certificate: files.path("elsewhere.pem"), key: files.path("server.key"))
    let error = try await refusal(configuration(host: "127.0.0.1", port: server.port))
    #expect(error.text.contains("not for 127.0.0.1"), "\(error)")
    try await server.stop()
  }

  @Test("files are read anew for each connection, and one that is missing for a moment is no end")
  func rotation() async throws {
    let path = files.path("rotated-ca.pem")
    var configuration = try configuration()
    configuration.tls.authorityFile = path
    let error = try await refusal(configuration)
    #expect(error.isConnectionLost && !error.isPermanent && error.description.contains(path), "\(error)")
    _ = try files.write(files.text("other-ca.pem"), to: "rotated-ca.pem")
    #expect(try await refusal(configuration).text.contains("not trusted"))
    _ = try files.write(files.text("ca.pem"), to: "rotated-ca.pem")
    try await withAMQPConnection(configuration) { _ in }
  }
}

extension Trait where Self == TLSBrokerTrait {
  /// A broker of the suite's own that also listens for TLS, two ports above its own, and wants certificates of its clients there.
  static var tlsBroker: Self { TLSBrokerTrait() }
}

struct TLSBrokerTrait: SuiteTrait, TestScoping {
  @TaskLocal static var files: TestCertificates?

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    try await withTestCertificates { files in
      let trait = OwnBrokerTrait(plugins: ["rabbitmq_auth_mechanism_ssl"]) { port in
        """
        listeners.ssl.1 = 127.0.0.1:\(port + 2)
        ssl_options.cacertfile = \(files.path("ca.pem"))
        ssl_options.certfile = \(files.path("server.pem"))
        ssl_options.keyfile = \(files.path("server.key"))
        ssl_options.verify = verify_peer
        ssl_options.fail_if_no_peer_cert = true
        auth_mechanisms.1 = PLAIN
        auth_mechanisms.2 = EXTERNAL
        ssl_cert_login_from = common_name

        """
      }
      try await Self.$files.withValue(files) {
        try await trait.provideScope(for: test, testCase: testCase, performing: function)
      }
    }
  }
}
