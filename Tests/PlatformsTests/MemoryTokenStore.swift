import Foundation
import Resilience
import Synchronization

@testable import Platforms

/// Keeps tokens as Postgres does: one change at a time, each whole or not at all.
final class MemoryTokenStore: IntegrationTokenStore {
  struct Away: Error {}

  private let lock = SharedExclusiveLock()
  private let tokens: Mutex<StoredTokens>
  private let failures = Mutex(0)
  private let substitute = Mutex<StoredTokens?>(nil)

  init(_ tokens: StoredTokens) { self.tokens = Mutex(tokens) }

  var stored: StoredTokens { tokens.withLock { $0 } }

  /// The next writes fail after the body has run.
  /// - Parameter stored: what another process has stored by then; nil leaves it.
  func failNextWrites(_ count: Int, storing stored: StoredTokens? = nil) {
    failures.withLock { $0 = count }
    substitute.withLock { $0 = stored }
  }

  func changeTokens(
    of integration: UUID, _ body: @escaping @Sendable (StoredTokens) async throws -> StoredTokens?
  ) async throws -> StoredTokens? {
    try await lock.withExclusive {
      guard let changed = try await body(stored) else { return stored }
      try failures.withLock { count in
        guard count == 0 else {
          count -= 1
          if let stored = substitute.withLock({ $0 }) { tokens.withLock { $0 = stored } }
          throw Away()
        }
      }
      tokens.withLock { $0 = changed }
      return changed
    }
  }
}
