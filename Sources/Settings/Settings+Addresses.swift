internal import Certificates
internal import Primitives
package import ReviewQueue
package import ReviewStore
internal import Reviews

// Where Postgres and RabbitMQ are: in one place, so that no command leaves out a certificate.
extension Settings {
  /// How to reach RabbitMQ.
  package var brokerAddress: BrokerAddress {
    BrokerAddress(urls: amqpURLs, authorityFile: caFile, certificateFile: amqpCertFile, keyFile: amqpKeyFile)
  }

  /// How to reach Postgres.
  package var databaseAddress: DatabaseAddress {
    DatabaseAddress(url: databaseURL ?? Secret(""), authorityFile: caFile)
  }

  /// What is wrong with the certificates for RabbitMQ, each with its file.
  var certificateFaults: [String] {
    if amqpKeyFile != nil && amqpCertFile == nil {
      return ["BATON_AMQP_CERT_FILE is missing, as BATON_AMQP_KEY_FILE is set"]
    }
    let servers = brokerAddress.servers
    if amqpCertFile != nil && !servers.isEmpty && !servers.contains(where: \.isEncrypted) {
      return ["BATON_AMQP_CERT_FILE is of no use without TLS: no URL in BATON_AMQP_URL begins with amqps://"]
    }
    var faults: [String] = []
    for server in servers {
      guard let fault = server.certificateFault else { continue }
      let text = "certificates for RabbitMQ at \(server.host): \(fault)"
      if !faults.contains(text) { faults.append(text) }
    }
    return faults
  }

  /// What is sent to other machines without encryption, one sentence for each server; of Postgres only its session can tell.
  /// - Parameter keys: the settings that a role uses.
  package func plaintextWarnings(of keys: Set<Key>) -> [String] {
    var warnings: [String] = []
    if keys.contains(.amqpURL) {
      for server in brokerAddress.servers where !server.isEncrypted && !IPAddress.isLoopback(server.host) {
        warnings.append(
          "BATON_AMQP_URL: passwords and tickets go to \(server.host):\(server.port) without encryption; use amqps://, "
            + "and BATON_CA_FILE for a private authority")
      }
    }
    if keys.contains(.workerURL), let authority = workerURL.flatMap(SettingText.plaintextAuthority) {
      warnings.append(
        "BATON_WORKER_URL: the worker's token, prompts and platform tokens go to \(authority) without encryption; use https://, and "
          + "BATON_CA_FILE for a private authority")
    }
    if keys.contains(.agentCommand), let authority = SettingText.plaintextAuthority(callbackURL) {
      warnings.append(
        "BATON_CALLBACK_URL: the callback secret goes to \(authority) without encryption; use https://, and BATON_CA_FILE for a "
          + "private authority")
    }
    return warnings
  }
}
