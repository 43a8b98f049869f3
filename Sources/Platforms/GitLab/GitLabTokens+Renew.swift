internal import CrashPoints
internal import FoundationEssentials
internal import Logging
internal import Primitives
internal import Resilience
internal import Reviews
internal import Synchronization

extension GitLabTokens {
  /// Asks GitLab about a token, and renews it if necessary.
  func examine(_ candidate: Candidate, _ place: Place) async throws(CollectFailure) -> Standing {
    let identity = try await identity(of: candidate, place)
    if let identity, !needsAnother(candidate, identity, place) { return standing(candidate, identity, place) }
    guard let store else {
      guard let identity else { throw Self.refused }
      return standing(candidate, identity, place)
    }
    do {
      return try await renewalLock.withExclusive { try await self.renew(candidate, place, in: store) }
    } catch let failure as CollectFailure {
      throw failure
    } catch {
      throw .call(.cancelled)
    }
  }

  private static let refused = CollectFailure.call(.unauthorized(message: "it answered 401"))

  private func identity(
    of candidate: Candidate, _ place: Place
  ) async throws(CollectFailure) -> GitLabTokenCalls.Identity? {
    let secret = try open(candidate, place)
    do {
      return try await place.calls.identity(of: secret)
    } catch {
      throw .call(error, hint: "It concerned the token of integration \(place.integration.id.lowercase).")
    }
  }

  /// Whether a token that is accepted is to be replaced nevertheless.
  private func needsAnother(_ candidate: Candidate, _ identity: GitLabTokenCalls.Identity, _ place: Place) -> Bool {
    if candidate.projectTokenID == nil && identity.isPersonal { return true }
    guard let expires = identity.expires else { return false }
    // Half of the life of one that is made for a week: it would be renewed every hour otherwise.
    let life = identity.created.map { expires.timeIntervalSince($0) } ?? .infinity
    return expires.timeIntervalSince(place.now) < min(Self.renewalTime, life / 2)
  }

  private func standing(
    _ candidate: Candidate, _ identity: GitLabTokenCalls.Identity, _ place: Place
  ) -> Standing {
    Standing(
      candidate: candidate, userID: identity.userID, expires: identity.expires,
      goodUntil: place.now.addingTimeInterval(Self.recheckTime))
  }

  // MARK: Under the store's lock

  /// What a renewal came to: for the case that the store fails after GitLab has answered.
  private struct Outcome: Sendable {
    var tokens: StoredTokens
    var standing: Standing
  }

  private func renew(
    _ candidate: Candidate, _ place: Place, in store: any IntegrationTokenStore
  ) async throws(CollectFailure) -> Standing {
    let outcome = Mutex<Outcome?>(nil)
    let stored: StoredTokens?
    do {
      stored = try await store.changeTokens(of: place.integration.id) { [self] current in
        guard let present = current.candidate(for: place.project) else { return nil }
        let standing: Standing
        var tokens = current
        if isSame(present, candidate, place) {
          standing = try await replacement(of: present, in: &tokens, place)
        } else {
          // Another process was faster; also that token is looked at before it is used.
          standing = try await examined(present, place)
        }
        outcome.withLock { $0 = Outcome(tokens: tokens, standing: standing) }
        return tokens == current ? nil : tokens
      }
    } catch let failure as CollectFailure {
      throw failure
    } catch {
      return try survive(error, outcome.withLock { $0 }, candidate, place, store)
    }
    guard stored != nil, let standing = outcome.withLock({ $0?.standing }) else {
      throw .permanent(
        .integrationMissing, message: "Integration \(place.integration.id.lowercase) holds no token any more.")
    }
    return standing
  }

  private func examined(_ candidate: Candidate, _ place: Place) async throws(CollectFailure) -> Standing {
    guard let identity = try await identity(of: candidate, place) else { throw Self.refused }
    return standing(candidate, identity, place)
  }

  /// What is to be used instead of a token; changes `tokens` if that is a new one.
  private func replacement(
    of present: Candidate, in tokens: inout StoredTokens, _ place: Place
  ) async throws(CollectFailure) -> Standing {
    // Again, under the lock: a token that is no longer accepted must not be rotated, as GitLab would end its whole family.
    let identity = try await identity(of: present, place)
    if let identity, !needsAnother(present, identity, place) { return standing(present, identity, place) }
    let made: GitLabTokenCalls.Made?
    switch (identity, present.projectTokenID) {
    case (let identity?, nil) where identity.isPersonal: made = try await create(tokens, place)
    case (_?, _): made = try await rotate(present, tokens, place)
    case (nil, _?): made = try await create(tokens, place)
    case (nil, nil): throw Self.refused
    }
    guard let made else {
      guard let identity else { throw Self.refused }
      return standing(present, identity, place)
    }
    CrashPoint.rotated.reached()
    return try put(made, instead: present, isPersonal: identity?.isPersonal ?? true, in: &tokens, place)
  }

  /// Puts a new token into the place of an old one: a project's, or the integration's own.
  private func put(
    _ made: GitLabTokenCalls.Made, instead present: Candidate, isPersonal: Bool, in tokens: inout StoredTokens,
    _ place: Place
  ) throws(CollectFailure) -> Standing {
    var candidate = Candidate(ciphertext: [])
    if present.projectTokenID != nil || isPersonal { candidate.projectTokenID = made.id }
    let ciphertext: [UInt8]
    do {
      ciphertext = try cipher.seal(made.secret, in: candidate.place(place), format: tokens.format)
    } catch {
      throw .retry(message: "A new GitLab token could not be encrypted.")
    }
    candidate.ciphertext = ciphertext
    if candidate.projectTokenID != nil {
      tokens.ofProjects[place.project] = .init(id: made.id, expiresAt: made.expiresAt, ciphertext: ciphertext)
    } else {
      tokens.own = ciphertext
    }
    return Standing(
      candidate: candidate, userID: made.userID, expires: made.expiresAt.flatMap(GitLabTokenCalls.date),
      goodUntil: place.now.addingTimeInterval(Self.recheckTime))
  }

  // MARK: New tokens

  /// - Returns: nil if the instance has no such tokens: then the present one is used as it is.
  private func create(_ tokens: StoredTokens, _ place: Place) async throws(CollectFailure) -> GitLabTokenCalls.Made? {
    guard let own = tokens.own else { throw Self.refused }
    do {
      let made = try await place.calls.create(by: try open(Candidate(ciphertext: own), place))
      logger.notice("made a GitLab project access token", metadata: Self.metadata(place))
      return made
    } catch let failure as CollectFailure {
      throw failure
    } catch APIFault.missing {
      return nil
    } catch APIFault.unauthorized(let message), APIFault.refused(let message) {
      throw .permanent(
        .platformRefused,
        message:
          "GitLab gives no access token for project \(place.project), \(message). The user of the integration's token "
          + "needs the Maintainer role on the project, and the token the api scope; or store a project access token.")
    } catch let fault as APIFault {
      throw .call(fault, hint: "It concerned a token for project \(place.project).")
    } catch {
      throw .call(.cancelled)
    }
  }

  /// Rotates a token that is still good. If GitLab refuses, a project's is made anew, and the integration's own is used
  /// until it ends.
  private func rotate(
    _ present: Candidate, _ tokens: StoredTokens, _ place: Place
  ) async throws(CollectFailure) -> GitLabTokenCalls.Made? {
    let secret = try open(present, place)
    var maker: Secret?
    if let own = tokens.own { maker = try open(Candidate(ciphertext: own), place) }
    do {
      let made =
        if let id = present.projectTokenID, let maker {
          try await place.calls.rotate(id, by: maker)
        } else {
          try await place.calls.rotateItself(secret)
        }
      logger.notice("rotated a GitLab access token", metadata: Self.metadata(place))
      return made
    } catch  where error.isRefusal {
      if present.projectTokenID != nil { return try await create(tokens, place) }
      logger.warning(
        "GitLab does not let the integration's token be rotated; it is used until it ends, store a new one",
        metadata: Self.metadata(place).merging(["fault": "\(error)"]) { $1 })
      return nil
    } catch {
      throw .call(error, hint: "It concerned the rotation of a token.")
    }
  }

  private static func metadata(_ place: Place) -> Logger.Metadata {
    ["integration": "\(place.integration.id.lowercase)", "project": "\(place.project)"]
  }
}

// MARK: A store that fails

extension GitLabTokens {
  /// How often a new token's write is repeated: with the waits in between, about an hour and a half.
  private static let writeCountMax = 200

  /// The store failed. Before GitLab was asked, that is a review to be tried again; after it, the new token is all there is.
  private func survive(
    _ error: any Error, _ outcome: Outcome?, _ candidate: Candidate, _ place: Place, _ store: any IntegrationTokenStore
  ) throws(CollectFailure) -> Standing {
    guard let outcome, outcome.standing.candidate != candidate else {
      throw .wait(
        message: "The integration's tokens could not be locked for a renewal; they are in a moment.", for: .seconds(5))
    }
    logger.error(
      "a renewed GitLab token could not be stored; this process uses it and keeps trying: do not stop it",
      metadata: Self.metadata(place).merging(["error": "\(error)"]) { $1 })
    // It outlives the review on purpose: no other process knows the token.
    Task { await self.keepWriting(outcome, instead: candidate, place, store) }
    return outcome.standing
  }

  private func keepWriting(
    _ outcome: Outcome, instead candidate: Candidate, _ place: Place, _ store: any IntegrationTokenStore
  ) async {
    let backoff = Backoff(base: .seconds(1), max: .seconds(30))
    for attempt in 0..<Self.writeCountMax {
      let stored = try? await store.changeTokens(of: place.integration.id) { current in
        guard self.isSame(candidate, current.candidate(for: place.project), place) else { return nil }
        var changed = current
        if outcome.standing.candidate.projectTokenID != nil {
          changed.ofProjects[place.project] = outcome.tokens.ofProjects[place.project]
        } else {
          changed.own = outcome.tokens.own
        }
        return changed
      }
      if stored != nil { return logger.notice("the renewed GitLab token is stored", metadata: Self.metadata(place)) }
      try? await Task.sleep(for: backoff.delay(attempt: attempt))
    }
    logger.error("gave up storing a renewed GitLab token: store a new one", metadata: Self.metadata(place))
  }
}
