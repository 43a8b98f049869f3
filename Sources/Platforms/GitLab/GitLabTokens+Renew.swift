internal import CrashPoints
internal import FoundationEssentials
internal import Logging
internal import Primitives
internal import Resilience
internal import Reviews
internal import Synchronization

extension GitLabTokens {
  /// Asks GitLab about a token, and renews it if necessary.
  func examine(_ candidate: Candidate, _ scope: Scope) async throws(CollectFailure) -> Standing {
    let identity = try await identity(of: candidate, scope)
    if let identity, !needsAnother(candidate, identity, scope) { return standing(candidate, identity, scope) }
    guard let store else {
      guard let identity else { throw Self.refused }
      return standing(candidate, identity, scope)
    }
    do {
      return try await renewalLock.withExclusive { try await self.renew(candidate, scope, in: store) }
    } catch let failure as CollectFailure {
      throw failure
    } catch {
      throw .call(.cancelled)
    }
  }

  private static let refused = CollectFailure.call(.unauthorized(message: "it answered 401"))

  private func identity(
    of candidate: Candidate, _ scope: Scope
  ) async throws(CollectFailure) -> GitLabTokenCalls.Identity? {
    let secret = try open(candidate, scope)
    do {
      return try await scope.calls.identity(of: secret)
    } catch {
      throw .call(error, hint: "It concerned the token of integration \(scope.integration.id.lowercase).")
    }
  }

  /// Whether a token that is accepted is to be replaced nevertheless.
  private func needsAnother(_ candidate: Candidate, _ identity: GitLabTokenCalls.Identity, _ scope: Scope) -> Bool {
    if candidate.projectTokenID == nil && identity.isPersonal { return true }
    guard let expires = identity.expires else { return false }
    // Half of the life of one that is made for a week: it would be renewed every hour otherwise.
    let life = identity.created.map { expires.timeIntervalSince($0) } ?? .infinity
    return expires.timeIntervalSince(scope.now) < min(Self.renewalTime, life / 2)
  }

  private func standing(
    _ candidate: Candidate, _ identity: GitLabTokenCalls.Identity, _ scope: Scope
  ) -> Standing {
    Standing(
      candidate: candidate, userID: identity.userID, expires: identity.expires,
      goodUntil: scope.now.addingTimeInterval(Self.recheckTime))
  }

  // MARK: Under the store's lock

  /// What a renewal came to: for the case that the store fails after GitLab has answered.
  private struct Outcome: Sendable {
    var tokens: StoredTokens
    var standing: Standing
  }

  private func renew(
    _ candidate: Candidate, _ scope: Scope, in store: any IntegrationTokenStore
  ) async throws(CollectFailure) -> Standing {
    let outcome = Mutex<Outcome?>(nil)
    let stored: StoredTokens?
    do {
      stored = try await store.changeTokens(of: scope.integration.id) { [self] current in
        guard let present = current.candidate(for: scope.project) else { return nil }
        let standing: Standing
        var tokens = current
        if isSame(present, candidate, scope) {
          standing = try await replacement(of: present, in: &tokens, scope)
        } else {
          // Another process was faster; also that token is looked at before it is used.
          standing = try await examined(present, scope)
        }
        outcome.withLock { $0 = Outcome(tokens: tokens, standing: standing) }
        return tokens == current ? nil : tokens
      }
    } catch let failure as CollectFailure {
      throw failure
    } catch {
      return try survive(error, outcome.withLock { $0 }, candidate, scope, store)
    }
    guard stored != nil, let standing = outcome.withLock({ $0?.standing }) else {
      throw .permanent(
        .integrationMissing, message: "Integration \(scope.integration.id.lowercase) holds no token any more.")
    }
    return standing
  }

  private func examined(_ candidate: Candidate, _ scope: Scope) async throws(CollectFailure) -> Standing {
    guard let identity = try await identity(of: candidate, scope) else { throw Self.refused }
    return standing(candidate, identity, scope)
  }

  /// What is to be used instead of a token; changes `tokens` if that is a new one.
  private func replacement(
    of present: Candidate, in tokens: inout StoredTokens, _ scope: Scope
  ) async throws(CollectFailure) -> Standing {
    // Again, under the lock: a token that is no longer accepted must not be rotated, as GitLab would end its whole family.
    let identity = try await identity(of: present, scope)
    if let identity, !needsAnother(present, identity, scope) { return standing(present, identity, scope) }
    let made: GitLabTokenCalls.Made?
    switch (identity, present.projectTokenID) {
    case (let identity?, nil) where identity.isPersonal: made = try await create(tokens, scope)
    case (_?, _): made = try await rotate(present, tokens, scope)
    case (nil, _?): made = try await create(tokens, scope)
    case (nil, nil): throw Self.refused
    }
    guard let made else {
      guard let identity else { throw Self.refused }
      return standing(present, identity, scope)
    }
    CrashPoint.rotated.reached()
    return try put(made, instead: present, isPersonal: identity?.isPersonal ?? true, in: &tokens, scope)
  }

  /// Puts a new token into the place of an old one: a project's, or the integration's own.
  private func put(
    _ made: GitLabTokenCalls.Made, instead present: Candidate, isPersonal: Bool, in tokens: inout StoredTokens,
    _ scope: Scope
  ) throws(CollectFailure) -> Standing {
    var candidate = Candidate(ciphertext: [])
    if present.projectTokenID != nil || isPersonal { candidate.projectTokenID = made.id }
    let ciphertext: [UInt8]
    do {
      ciphertext = try cipher.seal(made.secret, in: candidate.place(scope), format: tokens.format)
    } catch {
      throw .retry(message: "A new GitLab token could not be encrypted.")
    }
    candidate.ciphertext = ciphertext
    if candidate.projectTokenID != nil {
      tokens.ofProjects[scope.project] = .init(id: made.id, expiresAt: made.expiresAt, ciphertext: ciphertext)
    } else {
      tokens.own = ciphertext
    }
    return Standing(
      candidate: candidate, userID: made.userID, expires: made.expiresAt.flatMap(GitLabTokenCalls.date),
      goodUntil: scope.now.addingTimeInterval(Self.recheckTime))
  }

  // MARK: New tokens

  /// - Returns: nil if the instance has no such tokens: then the present one is used as it is.
  private func create(_ tokens: StoredTokens, _ scope: Scope) async throws(CollectFailure) -> GitLabTokenCalls.Made? {
    guard let own = tokens.own else { throw Self.refused }
    do {
      let made = try await scope.calls.create(by: try open(Candidate(ciphertext: own), scope))
      logger.notice("made a GitLab project access token", metadata: Self.metadata(scope))
      return made
    } catch let failure as CollectFailure {
      throw failure
    } catch APIFault.missing {
      return nil
    } catch APIFault.unauthorized(let message), APIFault.refused(let message) {
      throw .permanent(
        .platformRefused,
        message:
          "GitLab gives no access token for project \(scope.project), \(message). The user of the integration's token "
          + "needs the Maintainer role on the project, and the token the api scope; or store a project access token.")
    } catch let fault as APIFault {
      throw .call(fault, hint: "It concerned a token for project \(scope.project).")
    } catch {
      throw .call(.cancelled)
    }
  }

  /// Rotates a token that is still good. If GitLab refuses, a project's is made anew, and the integration's own is used
  /// until it ends.
  private func rotate(
    _ present: Candidate, _ tokens: StoredTokens, _ scope: Scope
  ) async throws(CollectFailure) -> GitLabTokenCalls.Made? {
    let secret = try open(present, scope)
    var maker: Secret?
    if let own = tokens.own { maker = try open(Candidate(ciphertext: own), scope) }
    do {
      let made =
        if let id = present.projectTokenID, let maker {
          try await scope.calls.rotate(id, by: maker)
        } else {
          try await scope.calls.rotateItself(secret)
        }
      logger.notice("rotated a GitLab access token", metadata: Self.metadata(scope))
      return made
    } catch  where error.isRefusal {
      if present.projectTokenID != nil { return try await create(tokens, scope) }
      logger.warning(
        "GitLab does not let the integration's token be rotated; it is used until it ends, store a new one",
        metadata: Self.metadata(scope).merging(["fault": "\(error)"]) { $1 })
      return nil
    } catch {
      throw .call(error, hint: "It concerned the rotation of a token.")
    }
  }

  private static func metadata(_ scope: Scope) -> Logger.Metadata {
    ["integration": "\(scope.integration.id.lowercase)", "project": "\(scope.project)"]
  }
}

// MARK: A store that fails

extension GitLabTokens {
  /// How often a new token's write is repeated: with the waits in between, about an hour and a half.
  private static let writeCountMax = 200

  /// The store failed. Before GitLab was asked, that is a review to be tried again; after it, the new token is all there is.
  private func survive(
    _ error: any Error, _ outcome: Outcome?, _ candidate: Candidate, _ scope: Scope, _ store: any IntegrationTokenStore
  ) throws(CollectFailure) -> Standing {
    guard let outcome, outcome.standing.candidate != candidate else {
      throw .wait(
        message: "The integration's tokens could not be locked for a renewal; they are in a moment.", for: .seconds(5))
    }
    logger.error(
      "a renewed GitLab token could not be stored; this process uses it and keeps trying: do not stop it",
      metadata: Self.metadata(scope).merging(["error": "\(error)"]) { $1 })
    // It outlives the review on purpose: no other process knows the token.
    Task { await self.keepWriting(outcome, instead: candidate, scope, store) }
    return outcome.standing
  }

  private func keepWriting(
    _ outcome: Outcome, instead candidate: Candidate, _ scope: Scope, _ store: any IntegrationTokenStore
  ) async {
    let backoff = Backoff(base: .seconds(1), max: .seconds(30))
    for attempt in 0..<Self.writeCountMax {
      let stored = try? await store.changeTokens(of: scope.integration.id) { current in
        guard self.isSame(candidate, current.candidate(for: scope.project), scope) else { return nil }
        var changed = current
        if outcome.standing.candidate.projectTokenID != nil {
          changed.ofProjects[scope.project] = outcome.tokens.ofProjects[scope.project]
        } else {
          changed.own = outcome.tokens.own
        }
        return changed
      }
      if stored != nil { return logger.notice("the renewed GitLab token is stored", metadata: Self.metadata(scope)) }
      try? await Task.sleep(for: backoff.delay(attempt: attempt))
    }
    logger.error("gave up storing a renewed GitLab token: store a new one", metadata: Self.metadata(scope))
  }
}
