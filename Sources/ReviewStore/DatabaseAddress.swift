package import PostgresClient
package import Primitives

/// Where Postgres is, the account there, and the authorities of its certificates, as the settings give them.
package struct DatabaseAddress: Sendable {
  private let url: Secret
  private let authorityFile: String?

  /// - Parameters:
  ///   - url: a libpq URI, or pairs of `keyword=value`.
  ///   - authorityFile: a PEM file of authorities, if the URL names none; nil for libpq's own.
  package init(url: Secret, authorityFile: String?) {
    self.url = url
    self.authorityFile = authorityFile
  }

  /// What is wrong with a URL, as the second half of a sentence that shows no password; nil if it is in order.
  package static func fault(in url: String) -> String? { PostgresConfiguration.fault(in: url) }

  /// How the client reaches Postgres.
  /// - Parameter name: of the session, as Postgres shows it.
  package func configuration(_ name: String) -> PostgresConfiguration {
    var configuration = PostgresConfiguration(conninfo: url.reveal(), applicationName: name)
    configuration.authorityFile = authorityFile
    return configuration
  }
}
