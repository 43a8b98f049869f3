import FoundationEssentials
import Platforms
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Synchronization
import Testing

@testable import Assembly

@Suite("Integration tokens")
struct IntegrationTokenTests {
  private struct Refused: Error {}

  /// Counts who is inside.
  private final class Room: Sendable {
    private let count = Mutex(0)

    func enter() -> Int {
      count.withLock { count in
        count += 1
        return count
      }
    }

    func leave() { count.withLock { $0 -= 1 } }
  }

  private static func insert(_ test: TestStore) async throws -> UUID {
    let rows = try await test.sql(
      """
      INSERT INTO platform_integrations (owner_type, owner_id, platform, token_ciphertext, metadata)
      VALUES ('org', 'acme', 'gitlab', '\\x01', '{"note": 1}') RETURNING id
      """)
    return try rows[0].decode(0, as: UUID.self)
  }

  @Test(
    "of many who change the tokens at once each sees what the one before has stored, and the rest of metadata stays")
  func serial() async throws {
    try await withTestStore { test in
      let id = try await Self.insert(test)
      let room = Room()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<8 {
          group.addTask {
            _ = try await test.store.changeIntegrationTokens(of: id) { present in
              #expect(room.enter() == 1)
              await Task.yield()
              room.leave()
              return NewIntegrationTokens(
                tokenCiphertext: (present.tokenCiphertext ?? []) + [2], projectTokens: #"{"7": {"id": 1}}"#)
            }
          }
        }
        try await group.waitForAll()
      }
      let exists = try await test.store.changeIntegrationTokens(of: id) { present in
        #expect(present.tokenCiphertext == [1] + [UInt8](repeating: 2, count: 8))
        #expect(present.metadata == #"{"note": 1, "project_tokens": {"7": {"id": 1}}}"#)
        return nil
      }
      #expect(exists)
    }
  }

  @Test("a change that fails leaves everything as it was, and an integration that does not exist is said to be so")
  func failed() async throws {
    try await withTestStore { test in
      let id = try await Self.insert(test)
      await #expect(throws: Refused.self) {
        _ = try await test.store.changeIntegrationTokens(of: id) { _ in throw Refused() }
      }
      _ = try await test.store.changeIntegrationTokens(of: id) { present in
        #expect(present == IntegrationTokens(tokenCiphertext: [1], metadata: #"{"note": 1}"#))
        return nil
      }
      let exists = try await test.store.changeIntegrationTokens(of: UUID()) { _ in
        Issue.record("there is nothing to change")
        return nil
      }
      #expect(!exists)
    }
  }

  @Test("a token that the platforms made is read back as it was, by them and with the next lease")
  func roundTrip() async throws {
    try await withTestStore { test in
      let id = try await Self.insert(test)
      let cipher = TokenCipher(key: [UInt8](0..<32))
      let sealed = try cipher.seal(Secret("glpat-made"), in: .projectToken("acme/shop", of: id))
      let store = StoredIntegrationTokens(store: test.store)
      let changed = try await store.changeTokens(of: id) { present in
        var tokens = present
        tokens.ofProjects["acme/shop"] = .init(id: 7, expiresAt: "2027-01-31", ciphertext: sealed)
        return tokens
      }
      #expect(changed?.own == [1] && changed?.ofProjects["acme/shop"]?.ciphertext == sealed)
      #expect(try await store.changeTokens(of: id) { _ in nil } == changed)
      #expect(try await store.changeTokens(of: UUID()) { _ in nil } == nil)
      let row = try await test.sql("SELECT metadata::text FROM platform_integrations WHERE id = '\(id.lowercase)'")
      let leased = StoredTokens(own: [1], metadata: try row[0].decode(0, as: String.self))
      #expect(leased == changed)
      let opened = try cipher.open(
        try #require(leased.ofProjects["acme/shop"]?.ciphertext), in: .projectToken("acme/shop", of: id))
      #expect(opened == Secret("glpat-made"))
    }
  }
}
