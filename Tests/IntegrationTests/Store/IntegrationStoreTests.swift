import FoundationEssentials
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Integrations")
struct IntegrationStoreTests {
  private let acme = Owner(type: .org, id: "acme")
  private let other = Owner(type: .user, id: "42")

  private func github(_ owner: Owner, _ installation: String? = "4242") -> NewIntegration {
    NewIntegration(owner: owner, platform: .github, installationId: installation)
  }

  private func gitlab(_ owner: Owner, _ url: String = "https://gitlab.com") -> NewIntegration {
    NewIntegration(owner: owner, platform: .gitlab, instanceUrl: url)
  }

  private func add(
    _ new: NewIntegration, _ test: TestStore, token: [UInt8]? = nil, hook: [UInt8]? = nil
  ) async throws -> IntegrationAnswer {
    try await test.store.add(new) { _ in IntegrationSecrets(token: token, webhookSecret: hook) }
  }

  private func ciphertexts(_ id: UUID, _ test: TestStore) async throws -> [[UInt8]?] {
    let row = try await test.sql(
      "SELECT token_ciphertext, webhook_secret_ciphertext FROM platform_integrations WHERE id = '\(id)'")[0]
    return [try row.decode(0, as: [UInt8]?.self), try row.decode(1, as: [UInt8]?.self)]
  }

  @Test("secrets are sealed for the id that the row gets")
  func sealing() async throws {
    try await withTestStore { test in
      var sealedFor: UUID?
      let answer = try await test.store.add(gitlab(acme)) { id in
        sealedFor = id
        return IntegrationSecrets(token: [1, 2])
      }
      let id = try #require(sealedFor)
      #expect(answer == .added(id))
      #expect(try await ciphertexts(id, test) == [[1, 2], nil])
    }
  }

  @Test("adding one again keeps its id, and replaces only the secrets that are given")
  func again() async throws {
    try await withTestStore { test in
      guard case .added(let id) = try await add(gitlab(acme), test, token: [1], hook: [2]) else {
        Issue.record("not added")
        return
      }
      #expect(try await add(gitlab(acme), test, token: [3]) == .updated(id, wasRevoked: false))
      #expect(try await ciphertexts(id, test) == [[3], [2]])
      #expect(try await test.store.revokeIntegration(id) == true)
      #expect(try await test.store.revokeIntegration(id) == false)
      #expect(try await add(gitlab(acme), test) == .updated(id, wasRevoked: true))
      #expect(try await ciphertexts(id, test) == [[3], [2]])
      let rows = try await test.store.integrations(of: acme, platform: nil, limit: 10)
      #expect(rows.map(\.id) == [id] && rows[0].revokedAt == nil && rows[0].hasToken && rows[0].hasWebhookSecret)
    }
  }

  @Test("a row that was made by SQL is the same integration, with or without a slash at its address' end")
  func bySQL() async throws {
    try await withTestStore { test in
      let id = UUID()
      try await test.sql(
        """
        INSERT INTO platform_integrations (id, owner_type, owner_id, platform, instance_url)
        VALUES ('\(id)', 'org', 'acme', 'gitlab', 'https://gitlab.com/')
        """)
      #expect(try await add(gitlab(acme), test, token: [1]) == .updated(id, wasRevoked: false))
    }
  }

  @Test("another installation, instance, platform or owner is another integration")
  func others() async throws {
    try await withTestStore { test in
      for new in [
        github(acme), github(acme, "5"), github(acme, nil), gitlab(acme), gitlab(acme, "https://git.example.com"),
        gitlab(other),
      ] {
        guard case .added = try await add(new, test) else {
          Issue.record("\(new) was there")
          return
        }
      }
      #expect(try await test.store.integrations(of: nil, platform: nil, limit: 10).count == 6)
      #expect(try await test.store.integrations(of: nil, platform: .gitlab, limit: 10).count == 3)
      #expect(try await test.store.integrations(of: other, platform: .github, limit: 10).isEmpty)
      #expect(try await test.store.integrations(of: nil, platform: nil, limit: 2).count == 2)
    }
  }

  @Test("an installation belongs to one owner at a time")
  func taken() async throws {
    try await withTestStore { test in
      guard case .added(let id) = try await add(github(acme), test) else {
        Issue.record("not added")
        return
      }
      #expect(try await add(github(other), test) == .taken(by: acme, id))
      _ = try await test.store.revokeIntegration(id)
      guard case .added(let moved) = try await add(github(other), test) else {
        Issue.record("not moved")
        return
      }
      #expect(try await add(github(acme), test) == .taken(by: other, moved))
    }
  }

  @Test("the same added by many at once is one integration")
  func concurrent() async throws {
    try await withTestStore { test in
      let answers = try await withThrowingTaskGroup(of: IntegrationAnswer.self) { group in
        for _ in 0..<8 { group.addTask { try await add(github(acme), test) } }
        return try await group.reduce(into: [IntegrationAnswer]()) { $0.append($1) }
      }
      #expect(answers.filter { if case .added = $0 { true } else { false } }.count == 1)
      #expect(try await test.store.integrations(of: nil, platform: nil, limit: 10).count == 1)
    }
  }

  @Test("if a secret cannot be sealed, nothing is stored; an unknown one is not revoked")
  func failures() async throws {
    struct NoKey: Error {}
    try await withTestStore { test throws in
      await #expect(throws: NoKey.self) { try await test.store.add(github(acme)) { _ in throw NoKey() } }
      #expect(try await test.store.integrations(of: nil, platform: nil, limit: 10).isEmpty)
      #expect(try await test.store.revokeIntegration(UUID()) == nil)
    }
  }
}
