import Foundation
import Platforms
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Sandbox
import Support
import Testing

@Suite("A wrong encryption key", .serialized, .timeLimit(.minutes(5)))
struct KeyTests {
  @Test("a consumer with a wrong key takes nothing, fails nothing and says so; another one has the reviews")
  func wrongKey() async throws {
    try await withTestCluster(latency: .zero) { cluster in
      let integration = try await cluster.addToken(.key(7))
      let port = try BrokerServer.freePort()
      let wrong = try await cluster.start(
        "consume", settings: ["BATON_ENCRYPTION_KEY": KeyBytes(8).base64, "BATON_METRICS_PORT": "\(port)"])
      let producer = try await cluster.start("produce")
      _ = try await cluster.insert(6, naming: integration)
      try await eventually("published") { try await cluster.count("code_reviews WHERE published_at IS NOT NULL") == 6 }
      try await eventually("it says so") { wrong.output.contains("taking no deliveries until the key fits") }
      let ready = try await RawHTTPClient(port: port).send("GET", "/readyz")
      #expect(ready.status == 503 && ready.body.contains("BATON_ENCRYPTION_KEY"), "\(ready.body)")
      #expect(try await cluster.count("code_reviews WHERE lease_owner IS NOT NULL") == 0)
      let right = try await cluster.start("consume")
      try await eventually("all dispatched") { try await cluster.dispatchedCount() == 6 }
      #expect(cluster.doubleRuns.isEmpty && cluster.worker.starts.count == 6)
      #expect(try await cluster.count("code_reviews WHERE status = 'failed' OR dispatch_failures > 0") == 0)
      // No lease was ever taken and handed back.
      #expect(try await cluster.count("review_transitions WHERE to_status = 'pending' AND from_status = 'queued'") == 0)
      try await cluster.stop(wrong, producer, right)
    }
  }

  @Test("a consumer whose key fits again takes deliveries again")
  func fitsAgain() async throws {
    try await withTestCluster(latency: .zero) { cluster in
      let integration = try await cluster.addToken(.key(8))
      let processes = [try await cluster.start("produce"), try await cluster.start("consume")]
      try await eventually("it waits") { processes[1].output.contains("taking no deliveries until the key fits") }
      _ = try await cluster.insert(1, naming: integration)
      try await cluster.setToken(integration, .key(7))
      try await eventually("dispatched") { try await cluster.dispatchedCount() == 1 }
      for process in processes { try await cluster.stop(process) }
    }
  }

  @Test("a damaged row fails its own review, a row of a lost key waits for the operator, and others run on")
  func rows() async throws {
    try await withTestCluster(latency: .zero) { cluster in
      let fine = try await cluster.addToken(.key(7))
      let damaged = try await cluster.addToken(.damaged(7))
      let orphan = try await cluster.addToken(.key(9))
      let processes = [try await cluster.start("produce"), try await cluster.start("consume")]
      let orphaned = try await cluster.insert(1, naming: orphan)[0]
      let failed = try await cluster.insert(1, naming: damaged)[0]
      let run = try await cluster.insert(3, naming: fine)
      try await eventually("the others run") { try await cluster.dispatchedCount() == 3 }
      #expect(Set(cluster.worker.starts.map(\.reviewID)) == Set(run))
      try await eventually("it fails") { try await cluster.test.row(failed).status == .failed }
      let row = try await cluster.test.row(failed)
      #expect(row.errorCode == "platform_refused" && row.errorMessage?.contains("baton integration add") == true)
      try await eventually("it waits") { try await cluster.test.row(orphaned).status == .pending }
      let waiting = try await cluster.test.row(orphaned)
      #expect(waiting.dispatchFailures == 0 && waiting.attempt == 1)
      #expect(
        try await cluster.count(
          "review_transitions WHERE review_id = '\(orphaned.lowercase)' AND reason LIKE '%BATON_ENCRYPTION_KEY%'") > 0)
      // The operator gives the key.
      for process in processes { try await cluster.stop(process) }
      let both = ["BATON_ENCRYPTION_KEY": "\(KeyBytes(7).base64),\(KeyBytes(9).base64)"]
      let again = [try await cluster.start("produce"), try await cluster.start("consume", settings: both)]
      try await cluster.test.sql("UPDATE code_reviews SET available_at = now() WHERE status = 'pending'")
      try await eventually("it runs") { try await cluster.dispatchedCount() == 4 }
      for process in again { try await cluster.stop(process) }
    }
  }

  @Test("feedback waits for its key, however long, and is sent once the key is there")
  func feedback() async throws {
    let settings = ["BATON_HTTP_PORT": "\(try BrokerServer.freePort())"]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      let integration = try await cluster.addToken(.key(9))
      let server = try await cluster.start("serve")
      _ = try await cluster.insert(1, naming: integration)
      try await eventually("it was tried") {
        try await cluster.count("baton_feedback WHERE last_error LIKE '%BATON_ENCRYPTION_KEY%'") == 1
      }
      // Longer than anything else is tried.
      try await cluster.test.sql(
        "UPDATE baton_feedback SET due_since = now() - interval '30 days', due_at = now(), tries = 0")
      try await eventually("it was tried again") {
        try await cluster.count("baton_feedback WHERE tries = 1 AND due_at > now() + interval '30 seconds'") == 1
      }
      #expect(try await cluster.count("baton_feedback WHERE given_up_at IS NOT NULL") == 0)
      try await cluster.stop(server)
      let both = ["BATON_ENCRYPTION_KEY": "\(KeyBytes(7).base64),\(KeyBytes(9).base64)"]
      let again = try await cluster.start("serve", settings: both)
      try await cluster.test.sql("UPDATE baton_feedback SET due_at = now()")
      try await eventually("delivered") { cluster.fakePlatform.feedback.map(\.state) == ["eyes"] }
      try await cluster.stop(again)
    }
  }
}

/// An encryption key of 32 equal bytes.
struct KeyBytes {
  let bytes: [UInt8]

  init(_ byte: UInt8) { bytes = Array(repeating: byte, count: 32) }

  var base64: String { Data(bytes).base64EncodedString() }
  var cipher: TokenCipher { TokenCipher(key: bytes) }
}

/// How a test's token is stored.
enum StoredToken {
  case key(UInt8)
  /// In the form of releases up to schema 19.
  case former(UInt8)
  /// With one byte of the encrypted text changed.
  case damaged(UInt8)

  func sealed(for id: UUID) throws -> [UInt8] {
    switch self {
    case .key(let byte): return try KeyBytes(byte).cipher.seal(Secret("ghp_test"), in: .token(of: id))
    case .former(let byte): return try KeyBytes(byte).cipher.seal(Secret("ghp_test"), for: id)
    case .damaged(let byte):
      var sealed = try KeyBytes(byte).cipher.seal(Secret("ghp_test"), in: .token(of: id))
      sealed[sealed.count - 1] ^= 1
      return sealed
    }
  }
}

extension TestCluster {
  /// An integration of `org:acme` with a token of GitHub.
  func addToken(_ token: StoredToken) async throws -> UUID {
    let id = UUID()
    try await test.store.setConfiguration("{}", of: Owner(type: .org, id: "acme"), platform: .github)
    try await test.pool.query(
      PostgresStatement(
        unprepared: """
          INSERT INTO platform_integrations (id, owner_type, owner_id, platform, token_ciphertext)
          VALUES ($1, 'org', 'acme', 'github', $2)
          """), [id, try token.sealed(for: id)])
    return id
  }

  func setToken(_ integration: UUID, _ token: StoredToken) async throws {
    try await test.pool.query(
      PostgresStatement(unprepared: "UPDATE platform_integrations SET token_ciphertext = $2 WHERE id = $1"),
      [integration, try token.sealed(for: integration)])
  }

  /// Inserts reviews that name an integration.
  func insert(_ count: Int, naming integration: UUID) async throws -> [UUID] {
    let rows = try await test.sql(
      """
      INSERT INTO code_reviews (owner_type, owner_id, platform, platform_integration_id, repo_full_name, pr_number,
                                pr_url, pr_title, pr_author, base_ref, head_ref, head_sha)
      SELECT 'org', 'acme', 'github', '\(integration.lowercase)', 'acme/shop', g, 'https://github.com/acme/shop/pull/' || g,
             'Title', 'ada', 'main', 'feature', md5(random()::text)
        FROM generate_series(1, \(count)) g
      RETURNING id
      """)
    return try rows.map { try $0.decode(0, as: UUID.self) }
  }

  /// Ends processes as a deploy would.
  func stop(_ processes: BatonProcess...) async throws {
    for process in processes { process.signal(SIGTERM) }
    for process in processes { #expect(await process.wait() == 0, "\(process.output)") }
  }
}
