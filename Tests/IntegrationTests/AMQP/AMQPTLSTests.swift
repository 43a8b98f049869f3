import AMQPClient
import Foundation
import Support
import Testing

@Suite("AMQP over TLS", .serialized, .tlsBroker, .timeLimit(.minutes(5)))
struct AMQPTLSTests {
  private let broker: BrokerServer

  init() throws { broker = try #require(OwnBroker.current) }

  private func configuration(host: String = "localhost", authority: String = TestCertificates.authority) throws
    -> AMQPConfiguration
  {
    var configuration = try broker.configuration()
    configuration.endpoints = [AMQPEndpoint(scheme: .amqps, host: host, port: broker.port + 2)]
    configuration.tls.authorityFile = authority
    return configuration
  }

  @Test("messages are published and consumed over TLS, small and large")
  func publishes() async throws {
    let name = uniqueName("queue")
    let topology = Topology(queues: [.quorum(name)])
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

  @Test("a certificate of an unknown authority, or for another name, is refused")
  func verifies() async throws {
    for configuration in [
      try configuration(authority: "/etc/ssl/certs/ca-certificates.crt"), try configuration(host: "127.0.0.1"),
    ] {
      let error = await #expect(throws: AMQPError.self) { try await withAMQPConnection(configuration) { _ in } }
      #expect(error?.isConnectionLost == true)
      #expect(error?.text.contains("SSL") == true)
    }
  }

  @Test("an authority file that cannot be read is a permanent error that names it")
  func missingFile() async throws {
    let configuration = try configuration(authority: "/missing.pem")
    let error = await #expect(throws: AMQPError.self) { try await withAMQPConnection(configuration) { _ in } }
    #expect(error?.isPermanent == true && error?.description.contains("/missing.pem") == true)
  }
}

/// An authority and a certificate for `localhost`, made once.
enum TestCertificates {
  static let folder = "/tmp/\(uniqueName("certificates"))"
  static let authority = "\(folder)/ca.pem"

  static func make() async throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let commands = """
      set -e; cd '\(folder)'
      openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority
      openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost
      printf 'subjectAltName=DNS:localhost\\n' > server.ext
      openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile server.ext
      chmod 755 . && chmod 644 server.key server.pem ca.pem
      """
    _ = try await runCommand("/bin/sh", ["-c", commands])
  }
}

extension Trait where Self == TLSBrokerTrait {
  /// A broker of the suite's own that also listens for TLS, two ports above its own.
  static var tlsBroker: Self { TLSBrokerTrait() }
}

struct TLSBrokerTrait: SuiteTrait, TestScoping {
  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    try await TestCertificates.make()
    let trait = OwnBrokerTrait { port in
      """
      listeners.ssl.1 = 127.0.0.1:\(port + 2)
      ssl_options.cacertfile = \(TestCertificates.authority)
      ssl_options.certfile = \(TestCertificates.folder)/server.pem
      ssl_options.keyfile = \(TestCertificates.folder)/server.key
      ssl_options.verify = verify_none
      ssl_options.fail_if_no_peer_cert = false

      """
    }
    try await trait.provideScope(for: test, testCase: testCase, performing: function)
    try FileManager.default.removeItem(atPath: TestCertificates.folder)
  }
}
