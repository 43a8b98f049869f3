import Foundation
import Platforms
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support

extension ServerStack {
  /// The owner `org:acme` with an integration of the recorded installation, 1, and reviews enabled.
  /// - Parameters:
  ///   - config: of the owner; nil for none.
  ///   - secret: the integration's own.
  @discardableResult
  func addGitHub(
    config: String? = "{}", secret: String? = nil, revoked: Bool = false, installation: Int = 1
  ) async throws -> UUID {
    try await add(.github, config: config, secret: secret, revoked: revoked, installation: "'\(installation)'")
  }

  @discardableResult
  func addGitLab(config: String? = "{}", secret: String? = nil, revoked: Bool = false) async throws -> UUID {
    try await add(.gitlab, config: config, secret: secret, revoked: revoked, installation: "NULL")
  }

  private func add(
    _ platform: Platform, config: String?, secret: String?, revoked: Bool, installation: String
  ) async throws -> UUID {
    let id = UUID()
    if let config {
      try await store.setConfiguration(config, of: Owner(type: .org, id: "acme"), platform: platform)
    }
    let ciphertext = try secret.map { try Self.cipher.seal(Secret($0), for: id) }
    try await pool.query(
      PostgresStatement(
        unprepared: """
          INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id,
                                             webhook_secret_ciphertext, revoked_at)
          VALUES ($1, 'org', 'acme', '\(platform.rawValue)', \(installation), $2, \(revoked ? "now()" : "NULL"))
          """), [id, ciphertext])
    return id
  }

  /// All reviews, oldest first.
  func reviews() async throws -> [Review] { try await store.page(ReviewFilter(), limit: 1_000).reviews.reversed() }

  /// Shas with their status and attempt, in the order of the shas.
  func states() async throws -> [String] {
    try await reviews().map { "\($0.headSha.prefix(4)) \($0.status) \($0.attempt) \($0.errorCode ?? "-")" }.sorted()
  }

  func count(_ from: String) async throws -> Int64 {
    try await pool.query(PostgresStatement(unprepared: "SELECT count(*) FROM \(from)"))[0].decode(0, as: Int64.self)
  }
}

/// The fields of a push to the recorded pull request of GitHub.
/// - Parameters:
///   - sha: repeated to forty digits.
///   - second: of a minute, of `updated_at`.
func push(_ sha: Character, at second: Int, before: Character? = nil) -> [String: String] {
  var fields = [
    "pull_request.head.sha": "\"\(String(repeating: sha, count: 40))\"",
    "pull_request.updated_at": "\"2026-01-01T10:00:\(second < 10 ? "0" : "")\(second)Z\"",
  ]
  if let before { fields["before"] = "\"\(String(repeating: before, count: 40))\"" }
  return fields
}
