package import FoundationEssentials
internal import Primitives
internal import Reviews

/// The one place in the database where a ciphertext opens: it is authenticated along, so that a ciphertext that was copied into
/// another column, another row or another project's entry does not open there.
package struct SealedPlace: Sendable, Hashable {
  /// The row's: an integration's, but for ``endpointSecret(of:)``.
  let integration: UUID
  /// The column, and the project within it.
  let column: String
  let table: String

  private init(_ integration: UUID, _ column: String, table: String = "platform_integrations") {
    self.integration = integration
    self.column = column
    self.table = table
  }

  /// `token_ciphertext`.
  package static func token(of integration: UUID) -> SealedPlace { SealedPlace(integration, "token_ciphertext") }

  /// `webhook_secret_ciphertext`.
  package static func webhookSecret(of integration: UUID) -> SealedPlace {
    SealedPlace(integration, "webhook_secret_ciphertext")
  }

  /// `baton_endpoints.secret_ciphertext`.
  package static func endpointSecret(of endpoint: UUID) -> SealedPlace {
    SealedPlace(endpoint, "secret_ciphertext", table: "baton_endpoints")
  }

  /// `metadata.project_tokens`, the entry of one project.
  package static func projectToken(_ project: String, of integration: UUID) -> SealedPlace {
    SealedPlace(integration, "metadata.project_tokens.\(project)")
  }

  /// What the form with a key id authenticates along with its head. The id has a fixed length, so no two places have the same bytes.
  var associatedData: [UInt8] { Array("\(table) \(integration.lowercase) \(column)".utf8) }
}
