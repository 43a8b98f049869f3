import Foundation
import Primitives
import Reviews
import Sandbox
import Testing
import WorkerAPI

@testable import Platforms

@Suite("GitLab's tokens")
struct GitLabTokenTests {
  private static let cipher = TokenCipher(key: Samples.key)

  private static func store(own: String) throws -> MemoryTokenStore {
    MemoryTokenStore(.init(own: try cipher.seal(Secret(own), for: Samples.integrationID), metadata: nil))
  }

  /// A review as it is leased: with the tokens as the store has them now.
  private static func review(
    _ harness: FakePlatformHarness, _ store: MemoryTokenStore, projectID: Int64? = 278_964
  ) throws -> LeasedReview {
    let stored = store.stored
    let metadata = #"{"note":1,"project_tokens":\#(try stored.projectTokensJSON())}"#
    return Samples.review(
      platform: .gitlab, repository: "gitlab-org/gitlab-ee", number: 14656, projectID: projectID,
      integration: Integration(
        id: Samples.integrationID, instanceUrl: harness.address, tokenCiphertext: stored.own, metadata: metadata))
  }

  private static func token(_ payload: PreparedPayload) throws -> String? {
    try JSONDecoder().decode(StartRequest.self, from: Data(payload.body)).sessionInput.gitToken
  }

  private static func open(
    _ ciphertext: [UInt8]?, in place: SealedPlace = .token(of: Samples.integrationID)
  ) throws -> String {
    try cipher.open(try #require(ciphertext), in: place).reveal()
  }

  /// Where the token of the recorded project is stored.
  private static let project = SealedPlace.projectToken("278964", of: Samples.integrationID)

  private static func day(in days: Double) -> String { GitLabTokenCalls.day(Date().addingTimeInterval(days * 86_400)) }

  @Test("a project's token with time left is used as it is, and asked about once an hour")
  func good() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-own")
      harness.fakePlatform.setToken("glpat-own", FakeToken(id: 7, expiresAt: Self.day(in: 30)))
      let clock = TestWallClock()
      let preparer = try harness.preparer(tokens: store, now: { clock.now })
      for _ in 0..<3 {
        #expect(try Self.token(try await preparer.prepare(try Self.review(harness, store))) == "glpat-own")
      }
      #expect(
        harness.fakePlatform.callCounts == [
          .gitlabUser: 1, .gitlabOwnToken: 1, .gitlabMergeRequest: 3, .gitlabNotes: 3, .gitlabDiscussions: 3,
        ])
      clock.advance(by: 3_601)
      _ = try await preparer.prepare(try Self.review(harness, store))
      #expect(harness.fakePlatform.callCounts[.gitlabUser] == 2)
    }
  }

  @Test("with less than seven days left it is rotated, once for all reviews of all processes, and stored")
  func rotated() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-own")
      harness.fakePlatform.setToken("glpat-own", FakeToken(id: 7, expiresAt: Self.day(in: 6)))
      let review = try Self.review(harness, store)
      let preparers = try (0..<3).map { _ in try harness.preparer(tokens: store) }
      let tokens = try await withThrowingTaskGroup(of: String?.self) { group in
        for index in 0..<12 {
          group.addTask { try Self.token(try await preparers[index % 3].prepare(review)) }
        }
        return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
      }
      #expect(harness.fakePlatform.callCounts[.gitlabTokenRotation] == 1)
      let made = try Self.open(store.stored.own)
      #expect(tokens == [made] && made.hasPrefix("glpat-made-"))
      #expect(harness.fakePlatform.token(made)?.expiresAt == Self.day(in: 365))
      #expect(
        harness.fakePlatform.token(made)?.isRevoked == false
          && harness.fakePlatform.token("glpat-own")?.isRevoked == true)
      // A lease from before the rotation is served with the new token.
      #expect(try Self.token(try await preparers[0].prepare(review)) == made)
    }
  }

  @Test("a project that has moved gets its token by its number, and later another one")
  func movedProject() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-person")
      harness.fakePlatform.setToken("glpat-person", FakeToken(id: 7, userID: 5, username: "ann", isMaintainer: true))
      harness.fakePlatform.add(
        FakeFault(
          path: "gitlab-org%2Fgitlab-ee/access_tokens", status: 405,
          body: #"{"message":"405 Method Not Allowed: Non GET methods are not allowed for moved projects"}"#))
      harness.fakePlatform.add(
        FakeFault(route: .unknown, path: "/projects/gitlab-org%2Fgitlab-ee", status: 200, body: #"{"id":278964}"#))
      let clock = TestWallClock()
      let preparer = try harness.preparer(tokens: store, now: { clock.now })
      let review = { try Self.review(harness, store, projectID: nil) }
      let made = try #require(try Self.token(try await preparer.prepare(try review())))
      let place = SealedPlace.projectToken("gitlab-org/gitlab-ee", of: Samples.integrationID)
      #expect(try Self.open(store.stored.ofProjects["gitlab-org/gitlab-ee"]?.ciphertext, in: place) == made)
      clock.advance(by: 360 * 86_400)
      let rotated = try #require(try Self.token(try await preparer.prepare(try review())))
      #expect(rotated != made && harness.fakePlatform.token(made)?.isRevoked == true)
      #expect(harness.fakePlatform.callCounts[.gitlabTokenRotation] == 2, "refused by the path, done by the number")
    }
  }

  @Test("a person's token makes one for the project, which is used from then on, and rotated in time")
  func created() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-person")
      harness.fakePlatform.setToken("glpat-person", FakeToken(id: 7, userID: 5, username: "ann", isMaintainer: true))
      let clock = TestWallClock()
      let preparer = try harness.preparer(tokens: store, now: { clock.now })
      let first = try Self.token(try await preparer.prepare(try Self.review(harness, store)))
      #expect(first?.hasPrefix("glpat-made-") == true)
      let kept = try #require(store.stored.ofProjects["278964"])
      #expect(try Self.open(kept.ciphertext, in: Self.project) == first && kept.expiresAt == Self.day(in: 365))
      #expect(try Self.open(store.stored.own) == "glpat-person")
      #expect(try Self.token(try await preparer.prepare(try Self.review(harness, store))) == first)
      #expect(harness.fakePlatform.callCounts[.gitlabProjectToken] == 1)
      clock.advance(by: 359 * 86_400)
      let second = try Self.token(try await preparer.prepare(try Self.review(harness, store)))
      #expect(second != first && harness.fakePlatform.callCounts[.gitlabTokenRotation] == 1)
      #expect(try Self.open(store.stored.ofProjects["278964"]?.ciphertext, in: Self.project) == second)
      // It is revoked: the next review has another made.
      harness.fakePlatform.setToken(second ?? "", Self.revoked(harness.fakePlatform.token(second ?? "")))
      let third = try Self.token(try await preparer.prepare(try Self.review(harness, store)))
      #expect(third != second && harness.fakePlatform.callCounts[.gitlabProjectToken] == 2)
    }
  }

  private static func revoked(_ token: FakeToken?) -> FakeToken {
    var token = token ?? FakeToken(id: 0)
    token.isRevoked = true
    return token
  }

  @Test("the message names the role that may make tokens")
  func role() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-person")
      harness.fakePlatform.setToken("glpat-person", FakeToken(id: 7, userID: 5, username: "ann"))
      let preparer = try harness.preparer(tokens: store)
      let review = try Self.review(harness, store)
      let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(review) }
      guard case .permanent(.platformRefused, let message)? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(message.contains("Maintainer") && message.contains("api scope") && !message.contains("glpat"))
    }
  }

  @Test("a token that is not accepted any more fails the review, unless a newer one is stored")
  func revoked() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-old")
      harness.fakePlatform.setToken("glpat-old", Self.revoked(FakeToken(id: 7)))
      let preparer = try harness.preparer(tokens: store)
      let review = try Self.review(harness, store)
      let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(review) }
      guard case .permanent(.platformRefused, _)? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(harness.fakePlatform.callCounts[.gitlabTokenRotation] == nil)
      let newer = try Self.cipher.seal(Secret("glpat-new"), for: Samples.integrationID)
      _ = try await store.changeTokens(of: Samples.integrationID) { _ in StoredTokens(own: newer, metadata: nil) }
      #expect(try Self.token(try await preparer.prepare(review)) == "glpat-new")
    }
  }

  @Test("a token that may not be rotated is used until it ends, and not beyond")
  func refused() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-own")
      harness.fakePlatform.setToken("glpat-own", FakeToken(id: 7, expiresAt: Self.day(in: 3)))
      harness.fakePlatform.add(FakeFault(route: .gitlabTokenRotation, status: 403))
      let clock = TestWallClock()
      let preparer = try harness.preparer(tokens: store, now: { clock.now })
      let review = try Self.review(harness, store)
      for _ in 0..<2 { #expect(try Self.token(try await preparer.prepare(review)) == "glpat-own") }
      // Both ways of rotating were tried, once.
      #expect(harness.fakePlatform.callCounts[.gitlabTokenRotation] == 2)
      clock.advance(by: 3 * 86_400)
      let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(review) }
      #expect(error.map { String(describing: $0).contains("ends before a review could") } == true)
    }
  }

  @Test("an instance that limits how long tokens live is asked for what it allows")
  func limitedLife() async throws {
    for (body, expected) in [
      (#"{"message":"400 Bad request - Expires at must be before \#(Self.day(in: 90))"}"#, Self.day(in: 89)),
      (#"{"message":{"expires_at":["is invalid"]}}"#, Self.day(in: 7)),
      (#"{"error":"expires_at is too late"}"#, Self.day(in: 7)),
    ] {
      try await FakePlatformHarness.run { harness in
        let store = try Self.store(own: "glpat-own")
        harness.fakePlatform.setToken("glpat-own", FakeToken(id: 7, expiresAt: Self.day(in: 6)))
        harness.fakePlatform.add(FakeFault(route: .gitlabTokenRotation, times: 1, status: 400, body: body))
        let preparer = try harness.preparer(tokens: store)
        let token = try Self.token(try await preparer.prepare(try Self.review(harness, store)))
        #expect(token?.hasPrefix("glpat-made-") == true, "\(body)")
        #expect(harness.fakePlatform.token(token ?? "")?.expiresAt == expected, "\(body)")
        #expect(harness.fakePlatform.callCounts[.gitlabTokenRotation] == 2)
      }
    }
  }

  @Test("a token that lives for a week is renewed at half of its life, and not every hour")
  func shortLife() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-own")
      let own =
        #"{"id":1,"active":true,"revoked":false,"expires_at":"\#(Self.day(in: 6))","created_at":"\#(Self.day(in: -1))"}"#
      harness.fakePlatform.add(FakeFault(route: .gitlabOwnToken, body: own))
      let preparer = try harness.preparer(tokens: store)
      #expect(try Self.token(try await preparer.prepare(try Self.review(harness, store))) == "glpat-own")
      #expect(harness.fakePlatform.callCounts[.gitlabTokenRotation] == nil)
    }
  }

  @Test("a new token that could not be written replaces the old one also if that was sealed again since")
  func resealed() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-own")
      harness.fakePlatform.setToken("glpat-own", FakeToken(id: 7, expiresAt: Self.day(in: 2)))
      let preparer = try harness.preparer(tokens: store)
      let review = try Self.review(harness, store)
      let again = try Self.cipher.seal(Secret("glpat-own"), in: .token(of: Samples.integrationID))
      store.failNextWrites(1, storing: StoredTokens(own: again, metadata: nil))
      let made = try Self.token(try await preparer.prepare(review))
      while try Self.open(store.stored.own) != made { try await Task.sleep(for: .milliseconds(5)) }
      #expect(harness.fakePlatform.callCounts[.gitlabTokenRotation] == 1)
    }
  }

  @Test("a lease from before the token was sealed again renews the same token, once")
  func resealedBefore() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-own")
      harness.fakePlatform.setToken("glpat-own", FakeToken(id: 7, expiresAt: Self.day(in: 2)))
      let preparer = try harness.preparer(tokens: store)
      let review = try Self.review(harness, store)
      let again = try Self.cipher.seal(Secret("glpat-own"), in: .token(of: Samples.integrationID))
      _ = try await store.changeTokens(of: Samples.integrationID) { _ in StoredTokens(own: again, metadata: nil) }
      let made = try Self.token(try await preparer.prepare(review))
      #expect(made?.hasPrefix("glpat-made-") == true)
      #expect(try Self.open(store.stored.own) == made)
    }
  }

  @Test("a new token is sealed in the format that the store asks for", arguments: TokenCipher.Format.allCases)
  func format(_ format: TokenCipher.Format) async throws {
    try await FakePlatformHarness.run { harness in
      let own = try Self.cipher.seal(Secret("glpat-own"), for: Samples.integrationID)
      let store = MemoryTokenStore(.init(own: own, metadata: nil, format: format))
      harness.fakePlatform.setToken("glpat-own", FakeToken(id: 7, expiresAt: Self.day(in: 2)))
      _ = try await harness.preparer(tokens: store).prepare(try Self.review(harness, store))
      let stored = try #require(store.stored.own)
      #expect(stored != own && (TokenCipher.keyID(of: stored) != nil) == (format == .keyed))
    }
  }

  @Test("a new token that cannot be written is used anyway, and written as soon as that works")
  func unwritten() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-own")
      harness.fakePlatform.setToken("glpat-own", FakeToken(id: 7, expiresAt: Self.day(in: 2)))
      let preparer = try harness.preparer(tokens: store)
      let review = try Self.review(harness, store)
      store.failNextWrites(1)
      let made = try Self.token(try await preparer.prepare(review))
      #expect(made?.hasPrefix("glpat-made-") == true)
      while try Self.open(store.stored.own) != made { try await Task.sleep(for: .milliseconds(5)) }
      #expect(try Self.token(try await preparer.prepare(review)) == made)
      #expect(harness.fakePlatform.callCounts[.gitlabTokenRotation] == 1)
    }
  }

  /// What is sent to a merge request, with the tokens as the store has them now.
  private static func feedback(_ harness: FakePlatformHarness, _ store: MemoryTokenStore) throws -> PullRequestFeedback
  {
    let review = try review(harness, store)
    return PullRequestFeedback(
      reviewID: review.id, subject: .eyes, attempt: 1, status: .pending, platform: .gitlab,
      platformProjectId: review.platformProjectId, repoFullName: review.repoFullName, prNumber: review.prNumber,
      prUrl: review.prUrl, headSha: review.headSha, integration: try #require(review.integration))
  }

  @Test("a project's token that has ended is made anew for feedback, which arrives, and the new one is stored")
  func feedbackEnded() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-person")
      harness.fakePlatform.setToken("glpat-person", FakeToken(id: 7, userID: 5, username: "ann", isMaintainer: true))
      let ended = FakeToken(id: 8, expiresAt: Self.day(in: -1))
      harness.fakePlatform.setToken("glpat-ended", ended)
      let sealed = try Self.cipher.seal(Secret("glpat-ended"), for: Samples.integrationID)
      _ = try await store.changeTokens(of: Samples.integrationID) { present in
        var tokens = present
        tokens.ofProjects["278964"] = .init(id: 8, expiresAt: ended.expiresAt, ciphertext: sealed)
        return tokens
      }
      let sender = FeedbackSender(access: try harness.access(tokens: store))
      #expect(await sender.send(try Self.feedback(harness, store)) == .delivered(checkRunID: nil))
      #expect(harness.fakePlatform.feedback.map(\.state) == ["eyes"])
      let made = try Self.open(store.stored.ofProjects["278964"]?.ciphertext, in: Self.project)
      #expect(made.hasPrefix("glpat-made-") && harness.fakePlatform.token(made)?.hasEnded == false)
      #expect(try Self.open(store.stored.own) == "glpat-person")
    }
  }

  @Test("feedback rotates a token in time, stores it, and follows a rotation by another process")
  func feedbackRotates() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-own")
      harness.fakePlatform.setToken("glpat-own", FakeToken(id: 7, expiresAt: Self.day(in: 2)))
      let (here, elsewhere) = (try harness.access(tokens: store), try harness.access(tokens: store))
      let taken = try Self.feedback(harness, store)
      #expect(await FeedbackSender(access: here).send(taken) == .delivered(checkRunID: nil))
      let made = try Self.open(store.stored.own)
      #expect(made.hasPrefix("glpat-made-") && harness.fakePlatform.token("glpat-own")?.isRevoked == true)
      // Taken from the outbox before the rotation.
      #expect(await FeedbackSender(access: elsewhere).send(taken) == .delivered(checkRunID: nil))
      #expect(harness.fakePlatform.callCounts[.gitlabTokenRotation] == 1)
      // Known to be good, and revoked since: another one was stored.
      harness.fakePlatform.setToken(made, Self.revoked(harness.fakePlatform.token(made)))
      let newer = try Self.cipher.seal(Secret("glpat-new"), for: Samples.integrationID)
      _ = try await store.changeTokens(of: Samples.integrationID) { _ in StoredTokens(own: newer, metadata: nil) }
      #expect(await FeedbackSender(access: here).send(taken) == .delivered(checkRunID: nil))
      #expect(harness.fakePlatform.callCounts[.gitlabTokenRotation] == 1)
    }
  }

  @Test("GitLab's recorded answer to the making of a token is understood")
  func recorded() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-person")
      harness.fakePlatform.setToken("glpat-person", FakeToken(id: 7, userID: 5, username: "ann", isMaintainer: true))
      let file = try #require(
        Bundle.module.url(forResource: "Fixtures/create_project_access_token", withExtension: "json"))
      harness.fakePlatform.add(
        FakeFault(
          route: .gitlabProjectToken, times: 1, status: 201, body: try String(contentsOf: file, encoding: .utf8)))
      let preparer = try harness.preparer(tokens: store)
      let token = try Self.token(try await preparer.prepare(try Self.review(harness, store)))
      let kept = try #require(store.stored.ofProjects["278964"])
      #expect(token == "00000000000000000000" && kept.id == 1876 && kept.expiresAt == nil)
      #expect(try Self.open(kept.ciphertext, in: Self.project) == token)
    }
  }

  @Test("what GitLab does not tell about a token does no harm")
  func silent() async throws {
    try await FakePlatformHarness.run { harness in
      let store = try Self.store(own: "glpat-own")
      harness.fakePlatform.add(FakeFault(route: .gitlabUser, status: 404))
      harness.fakePlatform.add(FakeFault(route: .gitlabOwnToken, status: 404))
      let preparer = try harness.preparer(tokens: store)
      #expect(try Self.token(try await preparer.prepare(try Self.review(harness, store))) == "glpat-own")
    }
  }

  @Test("project tokens survive metadata, and a day ends at its midnight in UTC")
  func wire() throws {
    var tokens = StoredTokens(own: [1], metadata: #"{"other":true}"#)
    #expect(tokens.ofProjects.isEmpty)
    tokens.ofProjects["a/b"] = .init(id: 5, expiresAt: "2027-01-31", ciphertext: [1, 2, 255])
    let json = try tokens.projectTokensJSON()
    #expect(StoredTokens(own: [1], metadata: #"{"project_tokens":\#(json)}"#) == tokens)
    #expect(StoredTokens(own: [1], metadata: #"{"project_tokens":[]}"#).ofProjects.isEmpty)
    #expect(GitLabTokenCalls.date("2027-01-31") == Date(timeIntervalSince1970: 1_801_353_600))
    #expect(GitLabTokenCalls.date("soon") == nil)
  }
}
