package import AMQPClient
package import Primitives

/// Where RabbitMQ is, the account there, and the files of certificates, as the settings give them.
package struct BrokerAddress: Sendable {
  /// A broker of the cluster.
  package struct Server: Sendable {
    private let endpoint: AMQPEndpoint
    private let configuration: AMQPConfiguration

    init(_ endpoint: AMQPEndpoint, _ configuration: AMQPConfiguration) {
      self.endpoint = endpoint
      self.configuration = configuration
    }

    /// Its name, or its IP address without brackets.
    package var host: String { endpoint.host }
    package var port: Int { endpoint.port }
    /// Whether connections to it are encrypted.
    package var isEncrypted: Bool { endpoint.scheme == .amqps }
    /// What is wrong with the files of certificates and keys that it needs, with the file's name; nil if they can be used now.
    package var certificateFault: String? { configuration.certificateFault(of: endpoint) }
  }

  private let urls: [Secret]
  private let authorityFile: String?
  private let certificateFile: String?
  private let keyFile: String?

  /// - Parameters:
  ///   - urls: of the brokers, tried in this order.
  ///   - authorityFile: a PEM file of authorities; nil for the system's.
  ///   - certificateFile: a PEM file with the client's own certificate; nil for none.
  ///   - keyFile: a PEM file with the key of that certificate; nil if both are in one file.
  package init(urls: [Secret], authorityFile: String?, certificateFile: String?, keyFile: String?) {
    self.urls = urls
    self.authorityFile = authorityFile
    self.certificateFile = certificateFile
    self.keyFile = keyFile
  }

  /// What is wrong with a URL, as a sentence that shows nothing of it; nil if it is in order.
  package static func fault(in url: String) -> String? {
    do throws(AMQPError) {
      _ = try AMQPEndpoint(url: url)
      return nil
    } catch {
      return error.text
    }
  }

  /// How the client reaches the brokers.
  /// - Parameter name: of the connection, as the broker shows it.
  package func configuration(_ name: String) throws(AMQPError) -> AMQPConfiguration {
    var configuration = try AMQPConfiguration(
      urls: urls.map { $0.reveal() }.joined(separator: ","), connectionName: name)
    configuration.reconnectDelayMax = .seconds(2)
    if let authorityFile { configuration.tls.authorityFile = authorityFile }
    configuration.tls.certificateFile = certificateFile
    configuration.tls.keyFile = keyFile
    return configuration
  }

  /// The brokers; none if a URL cannot be read.
  package var servers: [Server] {
    guard let configuration = try? configuration("") else { return [] }
    return configuration.endpoints.map { Server($0, configuration) }
  }
}
