import AMQPClient
import Foundation
import PostgresClient
import ReviewQueue
import ReviewStore
import Settings
import Support
import Testing

@Suite("Settings of certificates and of encryption")
struct CertificateSettingsTests {
  private func load(_ flags: [String: String]) throws -> Settings {
    try Settings.load(
      flags: flags, environment: [:], file: nil, requiring: flags["amqp_url"] == nil ? [] : [.amqpURL])
  }

  private func fault(_ flags: [String: String]) -> String {
    do {
      _ = try load(flags)
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test("one file of authorities is for RabbitMQ and Postgres, and the URL's own wins")
  func authority() async throws {
    try await withTestCertificates { files in
      let settings = try load([
        "ca_file": files.path("ca.pem"), "amqp_url": "amqps://a,amqps://b?cacertfile=\(files.path("other-ca.pem"))",
      ])
      let broker = try settings.brokerAddress.configuration("test")
      #expect(broker.tls.authorityFile == files.path("ca.pem"))
      #expect(broker.endpoints[1].parameters.authorityFile == files.path("other-ca.pem"))
      #expect(settings.databaseAddress.configuration("test").authorityFile == files.path("ca.pem"))
      #expect(settings.warnings == [])
    }
  }

  @Test("certificates that cannot be used are faults at the start, with the file and the cause")
  func faults() async throws {
    try await withTestCertificates { files in
      let expired = fault(["ca_file": files.path("expired-ca.pem")])
      #expect(expired.contains("BATON_CA_FILE") && expired.contains("CN=old authority has expired"), "\(expired)")
      let broker = ["amqp_url": "amqps://h", "ca_file": files.path("ca.pem")]
      #expect(fault(broker) == "")
      let own = ["amqp_cert_file": files.path("client.pem"), "amqp_key_file": files.path("client.key")]
      #expect(fault(broker.merging(own) { $1 }) == "")
      let other = fault(broker.merging(own) { $1 }.merging(["amqp_key_file": files.path("ca.key")]) { $1 })
      #expect(other.contains("ca.key is not the key of the certificate"), "\(other)")
      #expect(
        fault(broker.merging(["amqp_key_file": files.path("client.key")]) { $1 }).contains(
          "BATON_AMQP_CERT_FILE is missing"))
      #expect(fault(["amqp_url": "amqp://h"].merging(own) { $1 }).contains("amqps://"))
      let odd = try files.write(files.text("expired-ca.pem") + files.text("ca.pem"), to: "two.pem")
      #expect(try load(["ca_file": odd]).warnings.contains { $0.contains(odd) && $0.contains("old authority") })
    }
  }

  @Test("what goes to another machine without encryption is a warning of the roles that send it, and shows no secret")
  func plaintext() throws {
    let settings = try Settings.load(
      flags: [
        "amqp_url": "amqp://u:hunter2@mq.example:5673,amqp://u:hunter2@127.0.0.1,amqps://u:hunter2@tls.example",
        "worker_url": "http://worker.example:9000/a", "callback_url": "http://baton.example",
      ], environment: [:], file: nil)
    let all = settings.plaintextWarnings(of: Set(Settings.definitions.map(\.key)))
    #expect(all.count == 3 && !all.joined().contains("hunter2"), "\(all)")
    #expect(all[0].contains("mq.example:5673") && all[0].contains("amqps://"))
    #expect(all[1].contains("worker.example:9000 ") && all[2].contains("baton.example"))
    #expect(settings.plaintextWarnings(of: [.amqpURL]).count == 1 && settings.plaintextWarnings(of: []).isEmpty)
    let safe = try Settings.load(
      flags: [
        "amqp_url": "amqps://mq.example", "worker_url": "https://w.example", "callback_url": "http://[::1]:8080",
      ],
      environment: [:], file: nil)
    #expect(safe.plaintextWarnings(of: Set(Settings.definitions.map(\.key))) == [])
  }
}
