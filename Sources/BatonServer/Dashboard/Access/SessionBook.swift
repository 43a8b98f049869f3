internal import Resilience
internal import ReviewStore

/// Which sessions have begun and not ended, for all servers of a database.
protocol SessionBook: Sendable {
  /// - Parameter former: a session that ends with it.
  func begin(_ id: String, replacing former: String?) async throws
  func isLive(_ id: String) async throws -> Bool
  func end(_ id: String) async throws
  func endAll() async throws
}

/// The book that Postgres keeps. Each question is answered by a query that begins after it, so that a session which has ended on one
/// server has ended on all; questions that come at one time share a query.
struct StoredSessions: SessionBook {
  private let store: ReviewStore
  private let questions: Batcher<String, Bool>

  init(_ store: ReviewStore) {
    self.store = store
    questions = Batcher(maxBatch: 256) { ids in
      do {
        let live = try await store.liveSessions(ids)
        return ids.map { .success(live.contains($0)) }
      } catch {
        return ids.map { _ in .failure(error) }
      }
    }
  }

  func begin(_ id: String, replacing former: String?) async throws {
    try await store.beginSession(id, replacing: former, lifetime: SessionCookie.lifetime)
  }

  func isLive(_ id: String) async throws -> Bool { try await questions.submit(id) }

  func end(_ id: String) async throws { try await store.endSession(id) }

  func endAll() async throws { try await store.endSessions() }
}
