package import AMQPClient
internal import Certificates
package import PostgresClient
internal import Primitives
internal import Reviews

// How the clients of Postgres and RabbitMQ are made: in one place, so that no command leaves out a certificate.
extension Settings {
  /// How to reach RabbitMQ.
  /// - Parameter name: of the connection, as the broker shows it.
  package func amqpConfiguration(_ name: String) throws(AMQPError) -> AMQPConfiguration {
    var configuration = try AMQPConfiguration(
      urls: amqpURLs.map { $0.reveal() }.joined(separator: ","), connectionName: name)
    if let caFile { configuration.tls.authorityFile = caFile }
    configuration.tls.certificateFile = amqpCertFile
    configuration.tls.keyFile = amqpKeyFile
    return configuration
  }

  /// How to reach Postgres.
  /// - Parameter name: of the session, as Postgres shows it.
  package func databaseConfiguration(_ name: String) -> PostgresConfiguration {
    var configuration = PostgresConfiguration(conninfo: databaseURL?.reveal() ?? "", applicationName: name)
    configuration.authorityFile = caFile
    return configuration
  }

  /// What is wrong with the certificates for RabbitMQ, each with its file.
  var certificateFaults: [String] {
    if amqpKeyFile != nil && amqpCertFile == nil {
      return ["BATON_AMQP_CERT_FILE is missing, as BATON_AMQP_KEY_FILE is set"]
    }
    guard let configuration = try? amqpConfiguration("check") else { return [] }
    if amqpCertFile != nil && !configuration.endpoints.isEmpty
      && !configuration.endpoints.contains(where: { $0.scheme == .amqps })
    {
      return ["BATON_AMQP_CERT_FILE is of no use without TLS: no URL in BATON_AMQP_URL begins with amqps://"]
    }
    var faults: [String] = []
    for endpoint in configuration.endpoints {
      guard let fault = configuration.certificateFault(of: endpoint) else { continue }
      let text = "certificates for RabbitMQ at \(endpoint.host): \(fault)"
      if !faults.contains(text) { faults.append(text) }
    }
    return faults
  }

  /// What is sent to other machines without encryption, one sentence for each server; of Postgres only its session can tell.
  /// - Parameter keys: the settings that a role uses.
  package func plaintextWarnings(of keys: Set<Key>) -> [String] {
    var warnings: [String] = []
    if keys.contains(.amqpURL), let broker = try? amqpConfiguration("check") {
      for endpoint in broker.endpoints where endpoint.scheme == .amqp && !IPAddress.isLoopback(endpoint.host) {
        warnings.append(
          "BATON_AMQP_URL: passwords and tickets go to \(endpoint.host):\(endpoint.port) without encryption; use amqps://, "
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
