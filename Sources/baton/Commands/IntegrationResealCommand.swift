internal import ArgumentParser
internal import FoundationEssentials
internal import Platforms
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Settings
internal import Synchronization

/// `baton integration reseal`.
struct IntegrationResealCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reseal",
    abstract: "Encrypts all stored secrets again, with the first key of BATON_ENCRYPTION_KEY.",
    discussion: """
      To exchange the key, give all processes BATON_ENCRYPTION_KEY="new,old", then run this, then give them the new key alone; \
      deploy/rotation.md has the steps. It may be stopped and run again at any time, and changes nothing the second time.
      From its first run on, secrets are written in a format that releases up to schema 19 cannot read; it refuses to run while \
      such a process does.

      EXAMPLES:
        baton integration reseal --dry-run
        BATON_ENCRYPTION_KEY="$NEW,$OLD" baton integration reseal

      Exit status 1 if a secret does not open with any key: it is named and left as it is.
      """)

  @Flag(help: "Count what would be encrypted again, and what does not open; change nothing.")
  var dryRun = false

  @Flag(help: "Write the format that releases up to schema 19 read: before going back to one of them.")
  var formerFormat = false

  @OptionGroup(title: "Settings") var credentials: CredentialOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  /// Integrations that are read at once.
  private static let pageSize = 200

  func run() async throws {
    let session = try CommandSession(
      "baton integration reseal", common, [database, credentials], requiring: [.databaseURL, .encryptionKey])
    let cipher = TokenCipher(keys: session.settings.revealEncryptionKeys())
    let format = formerFormat ? TokenCipher.Format.former : .keyed
    let count = try await session.withStore { store in
      if !dryRun { try await announce(format, store) }
      let count = try await reseal(all: store, cipher, format)
      return try await reseal(endpointsOf: store, cipher, count)
    }
    let verb = dryRun ? "would be encrypted again" : "encrypted again"
    try Output.line(
      "\(count.resealed) secrets \(verb) with the key \(cipher.currentKeyID), \(count.current) have it already, "
        + "\(count.faults) do not open")
    guard count.faults == 0 else { throw Failure.reported }
  }

  private struct Count {
    var resealed = 0
    var current = 0
    var faults = 0
  }

  /// From here on, all processes write this format.
  private func announce(_ format: TokenCipher.Format, _ store: ReviewStore) async throws {
    let older = try await store.setSealFormat(format.rawValue)
    guard older.isEmpty else {
      let names = older.map { "  \($0.role) on \(DisplayText.safe($0.host)), process \($0.processID)" }
      throw Failure(
        .failed,
        "processes of a release that cannot read the new format are running, or were within five minutes:\n"
          + names.joined(separator: "\n") + "\nUpgrade them first, then run this again. Nothing was changed.")
    }
  }

  private func reseal(
    all store: ReviewStore, _ cipher: TokenCipher, _ format: TokenCipher.Format
  ) async throws -> Count {
    var count = Count()
    var last: UUID?
    while true {
      let page = try await store.sealedSecrets(after: last, limit: Self.pageSize, withRevoked: true)
      guard let end = page.last?.integration else { return count }
      for row in page {
        let result = dryRun ? cipher.reseal(row, format) : try await reseal(row.integration, store, cipher, format)
        guard let result else { continue }
        count.resealed += result.resealedCount
        count.current += result.currentCount
        count.faults += result.faults.count
        for fault in result.faults {
          Output.note("\(row.integration.lowercase)  \(DisplayText.safe(fault))")
        }
      }
      last = end
    }
  }

  /// Endpoints of events have one format.
  private func reseal(endpointsOf store: ReviewStore, _ cipher: TokenCipher, _ before: Count) async throws -> Count {
    var count = before
    for (id, present) in try await store.endpointSecrets() {
      guard !cipher.isCurrent(present, format: .keyed) else {
        count.current += 1
        continue
      }
      let sealed: [UInt8]
      do throws(TokenCipher.Fault) {
        let secret = try cipher.open(present, in: .endpointSecret(of: id))
        sealed = try cipher.seal(secret, in: .endpointSecret(of: id))
      } catch {
        count.faults += 1
        Output.note("\(id.lowercase)  the endpoint's secret: \(error)")
        continue
      }
      if !dryRun { try await store.resealEndpoint(id, from: present, to: sealed) }
      count.resealed += 1
    }
    return count
  }

  /// - Returns: nil if the integration has gone.
  private func reseal(
    _ id: UUID, _ store: ReviewStore, _ cipher: TokenCipher, _ format: TokenCipher.Format
  ) async throws -> Resealing? {
    let box = ResealingBox()
    let exists = try await store.reseal(id) { present in
      let result = cipher.reseal(present, format)
      box.result.withLock { $0 = result }
      return present.resealed(result)
    }
    return exists ? box.result.withLock { $0 } : nil
  }
}

/// Carries a result out of a transaction.
private final class ResealingBox: Sendable {
  let result = Mutex<Resealing?>(nil)
}

extension TokenCipher {
  fileprivate func reseal(_ row: SealedSecrets, _ format: Format) -> Resealing {
    reseal(
      row.integration, token: row.token, webhookSecret: row.webhookSecret, metadata: row.metadata, format: format)
  }
}

extension SealedSecrets {
  fileprivate func resealed(_ result: Resealing) -> SealedSecrets {
    var new = self
    new.token = result.token
    new.webhookSecret = result.webhookSecret
    new.projectTokens = result.projectTokensJSON
    return new
  }
}
