internal import FoundationEssentials
internal import Logging
internal import Primitives
internal import Resilience
internal import Reviews
internal import Synchronization

/// Decides with which token a merge request is read, and keeps it alive.
///
/// An integration stores one token. Is it a project's or a group's, it is used as it is, and rotated when less than
/// ``renewalTime`` is left of it. Is it a person's, each project gets a token of its own, which is made when it is missing,
/// rotated in time, and made again when it is no longer accepted.
///
/// A rotation takes the old token's life at once, and GitLab ends the whole family when a token is rotated twice. So it happens
/// under the lock of the store, which also proves that the new one can be written; under the lock the row is read again, as
/// another process may have been faster. If the new token cannot be written after all, this process works with it and keeps
/// on trying to write it.
///
/// Known weakness: when a process is killed between GitLab's answer and the write, the new token is lost. A person's token then
/// makes another; without one the operator has to. And reviews that run with the old token lose it.
final class GitLabTokens: Sendable {
  /// A token that has less left is renewed; one that lives for less than twice this, at half of its life.
  static let renewalTime: TimeInterval = 7 * 86_400
  /// A token that was accepted is asked about again after this long.
  static let recheckTime: TimeInterval = 3_600
  /// Above this many of each kind, all that was learnt is forgotten, which costs a few calls.
  private static let countMax = 4_096

  /// The token to use, and whose it is.
  struct Grant: Sendable, Equatable {
    var secret: Secret
    var userID: Int64?
    fileprivate(set) var ciphertext: [UInt8]
  }

  /// For whom a token is sought.
  struct Scope: Sendable {
    var integration: Integration
    /// The project's number or path, as the key of its token.
    var project: String
    var calls: GitLabTokenCalls
    var now: Date { calls.client.now() }
  }

  /// A stored token: a project's or the integration's own.
  struct Candidate: Sendable, Hashable {
    var ciphertext: [UInt8]
    /// GitLab's number of a project's token that was made here; nil for the integration's own.
    var projectTokenID: Int64?

    /// The place in which it is stored.
    func place(_ scope: Scope) -> SealedPlace {
      let id = scope.integration.id
      return projectTokenID == nil ? .token(of: id) : .projectToken(scope.project, of: id)
    }
  }

  /// What is known of a candidate.
  struct Standing: Sendable {
    var candidate: Candidate
    var userID: Int64?
    var expires: Date?
    /// Until when GitLab is not asked about it again.
    var goodUntil: Date
  }

  private struct Key: Hashable {
    var ciphertext: [UInt8]
    var project: String
  }

  private struct Learnt {
    var standings: [Key: Standing] = [:]
    /// What has taken a token's place: leases may have been taken before.
    var successors: [Key: Candidate] = [:]
  }

  let store: (any IntegrationTokenStore)?
  let cipher: TokenCipher
  let logger: Logger
  /// Renewals happen one at a time in a process: each holds a connection to the store while it calls GitLab.
  let renewalLock = SharedExclusiveLock()
  private let learnt = Mutex(Learnt())
  private let flights = SingleFlight<[UInt8], Standing>()

  init(store: (any IntegrationTokenStore)?, cipher: TokenCipher, logger: Logger) {
    self.store = store
    self.cipher = cipher
    self.logger = logger
  }

  /// The token for a project; nil if the integration has none.
  /// - Parameter lifetime: how long it is needed.
  func grant(for scope: Scope, lifetime: Duration) async throws(CollectFailure) -> Grant? {
    let stored = StoredTokens(own: scope.integration.tokenCiphertext, metadata: scope.integration.metadata)
    guard let candidate = stored.candidate(for: scope.project) else { return nil }
    let standing = try await standing(of: newest(candidate, scope.project), scope)
    if let expires = standing.expires, expires.timeIntervalSince(scope.now) < Double(lifetime.components.seconds) {
      throw .permanent(
        .platformRefused,
        message:
          "The GitLab token of integration \(scope.integration.id.lowercase) ends before a review could, and GitLab "
          + "does not let it be rotated: store a new one with `baton integration add`.")
    }
    return Grant(
      secret: try open(standing.candidate, scope), userID: standing.userID,
      ciphertext: standing.candidate.ciphertext)
  }

  /// Forgets that a token was good: GitLab has just refused it.
  func doubt(_ grant: Grant, in project: String) {
    learnt.withLock { $0.standings[Key(ciphertext: grant.ciphertext, project: project)] = nil }
  }

  func open(_ candidate: Candidate, _ scope: Scope) throws(CollectFailure) -> Secret {
    do throws(SealedTokenFault) {
      return try cipher.openToken(candidate.ciphertext, in: candidate.place(scope))
    } catch {
      throw CollectFailure(error)
    }
  }

  /// Whether two candidates hold the same token: it may have been sealed again since one of them was read.
  func isSame(_ first: Candidate, _ second: Candidate?, _ scope: Scope) -> Bool {
    guard let second else { return false }
    if first == second { return true }
    guard first.projectTokenID == second.projectTokenID, let secret = try? open(first, scope) else { return false }
    return (try? open(second, scope)) == secret
  }

  /// Follows what this process knows of renewals since the lease was taken.
  private func newest(_ candidate: Candidate, _ project: String) -> Candidate {
    learnt.withLock { learnt in
      var candidate = candidate
      while let next = learnt.successors[Key(ciphertext: candidate.ciphertext, project: project)] { candidate = next }
      return candidate
    }
  }

  private func standing(of candidate: Candidate, _ scope: Scope) async throws(CollectFailure) -> Standing {
    if let standing = known(candidate, scope) { return standing }
    do {
      return try await flights.run(candidate.ciphertext + Array(scope.project.utf8)) {
        if let standing = self.known(candidate, scope) { return standing }
        // Shielded: once GitLab has rotated a token, the new one is written, even if no review waits for it any more.
        return try await Task {
          let standing = try await self.examine(candidate, scope)
          self.remember(standing, after: candidate, scope.project)
          return standing
        }.value
      }
    } catch let failure as CollectFailure {
      throw failure
    } catch {
      throw .call(.cancelled)
    }
  }

  private func known(_ candidate: Candidate, _ scope: Scope) -> Standing? {
    let key = Key(ciphertext: candidate.ciphertext, project: scope.project)
    return learnt.withLock { $0.standings[key] }.flatMap { $0.goodUntil > scope.now ? $0 : nil }
  }

  private func remember(_ standing: Standing, after candidate: Candidate, _ project: String) {
    learnt.withLock { learnt in
      if learnt.standings.count >= Self.countMax || learnt.successors.count >= Self.countMax { learnt = Learnt() }
      let key = Key(ciphertext: standing.candidate.ciphertext, project: project)
      learnt.standings[key] = standing
      if standing.candidate != candidate {
        learnt.successors[Key(ciphertext: candidate.ciphertext, project: project)] = standing.candidate
      }
      // The last of its line, also if an older token was put back: so no line leads back into itself.
      learnt.successors[key] = nil
    }
  }
}

extension StoredTokens {
  /// The token to begin with: the project's, else the integration's own.
  func candidate(for project: String) -> GitLabTokens.Candidate? {
    if let token = ofProjects[project] { return .init(ciphertext: token.ciphertext, projectTokenID: token.id) }
    return own.map { .init(ciphertext: $0) }
  }
}
