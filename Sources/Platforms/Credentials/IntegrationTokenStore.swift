package import FoundationEssentials
internal import Primitives
internal import Reviews

/// Where the tokens of integrations are kept, as far as they are renewed here.
package protocol IntegrationTokenStore: Sendable {
  /// Changes an integration's tokens exclusively: no other process is in the body for the same integration.
  ///
  /// The lock is proof that the store can be written before a platform is asked for anything.
  /// - Parameters:
  ///   - integration: its id.
  ///   - body: gets the tokens as they are now; gives them as they shall be, or nil to leave them. Not called where
  ///     the integration does not exist.
  /// - Returns: the tokens as they are stored in the end; nil if the integration does not exist.
  /// - Throws: what the body throws, as it is; else the store's own error, after which it is unknown what is stored.
  func changeTokens(
    of integration: UUID, _ body: @escaping @Sendable (StoredTokens) async throws -> StoredTokens?
  ) async throws -> StoredTokens?
}

/// The tokens that an integration has: its own, and on GitLab those that were made for single projects.
package struct StoredTokens: Sendable, Equatable {
  /// A project access token, in `metadata.project_tokens` by the project's number or path.
  package struct ProjectToken: Sendable, Equatable, Codable {
    /// GitLab's number of the token.
    package var id: Int64
    /// The day on which it ends, `2027-01-31`; nil if it does not.
    package var expiresAt: String?
    /// The token itself, sealed by ``TokenCipher``.
    package var ciphertext: [UInt8]

    private enum CodingKeys: String, CodingKey {
      case id
      case expiresAt = "expires_at"
      case ciphertext = "token"
    }

    package init(id: Int64, expiresAt: String?, ciphertext: [UInt8]) {
      (self.id, self.expiresAt, self.ciphertext) = (id, expiresAt, ciphertext)
    }

    package init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      id = try container.decode(Int64.self, forKey: .id)
      expiresAt = try container.decodeIfPresent(String.self, forKey: .expiresAt)
      ciphertext = Array(try container.decode(Data.self, forKey: .ciphertext))
    }

    package func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(id, forKey: .id)
      try container.encodeIfPresent(expiresAt, forKey: .expiresAt)
      try container.encode(Data(ciphertext), forKey: .ciphertext)
    }
  }

  /// `token_ciphertext`.
  package var own: [UInt8]?
  package var ofProjects: [String: ProjectToken]
  /// How a new token has to be sealed, as the store says it.
  package var format: TokenCipher.Format

  /// - Parameters:
  ///   - own: the integration's own token, sealed; nil if it has none.
  ///   - metadata: the text of `metadata`; what in it are no project tokens is left aside.
  ///   - format: how a new token has to be sealed.
  package init(own: [UInt8]?, metadata: String?, format: TokenCipher.Format = .keyed) {
    self.format = format
    struct Metadata: Decodable {
      var project_tokens: [String: ProjectToken]?
    }
    self.own = own
    let wire = metadata.flatMap { try? JSONCoding.decode(Metadata.self, from: Data($0.utf8)) }
    ofProjects = wire?.project_tokens ?? [:]
  }

  /// The value of `metadata.project_tokens`.
  package func projectTokensJSON() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return String(decoding: try encoder.encode(ofProjects), as: UTF8.self)
  }
}
