import PostgresClient
import Support

extension TestStore {
  /// Reviews that ended long ago, without the triggers: these have not just happened.
  func addHistory(_ count: Int) async throws {
    try await pool.withTransaction { connection in
      _ = try await connection.query(PostgresStatement(unprepared: "SET LOCAL session_replication_role = replica"))
      _ = try await connection.query(
        PostgresStatement(
          unprepared: """
            INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title,
                                      pr_author, base_ref, head_ref, head_sha, status, created_at, completed_at)
            SELECT 'org', 'owner-' || g % 50, 'github', 'acme/old', g, 'u', 't', 'ada', 'main', 'f', md5(g::text), 'completed',
                   now() - interval '3 days' - make_interval(secs => g), now() - interval '2 days'
              FROM generate_series(1, \(count)) g
            """))
    }
  }
}
