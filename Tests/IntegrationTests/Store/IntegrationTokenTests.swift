import FoundationEssentials
import PostgresClient
import ReviewStore
import Support
import Synchronization
import Testing

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
}
