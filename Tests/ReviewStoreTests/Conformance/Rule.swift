import FoundationEssentials
import Primitives
import ReviewStore
import Reviews
import Testing

/// What one statement answers in each situation, and what it makes of the review.
struct Rule: Sendable, CustomTestStringConvertible {
  let name: String
  private let expected: [Situation: String]
  private let otherwise: String
  private let statement: @Sendable (Play, Situation.Scene) async throws -> String

  var testDescription: String { name }

  /// What a statement answers that does nothing.
  private static let nothing = "-"

  /// - Parameters:
  ///   - expected: the situations of each answer.
  ///   - otherwise: the answer in every other one.
  ///   - statement: returns the answer.
  private init(
    _ name: String, _ expected: KeyValuePairs<String, [Situation]>, otherwise: String = Rule.nothing,
    _ statement: @escaping @Sendable (Play, Situation.Scene) async throws -> String
  ) {
    self.name = name
    self.otherwise = otherwise
    self.statement = statement
    self.expected = Dictionary(
      uniqueKeysWithValues: expected.flatMap { answer, situations in situations.map { ($0, answer) } })
  }

  func check(_ situation: Situation, in play: Play) async throws {
    let scene = try await situation.play(play)
    let answer = try await statement(play, scene)
    #expect(answer == expected[situation] ?? otherwise, "\(name), when the review is \(situation.rawValue)")
  }
}

extension Rule {
  static let all: [Rule] = claims + leases + writes + recovery + reports + operations

  /// Not claimed yet, or again.
  private static let unclaimed: [Situation] = [.pending, .delayed, .held, .retried]
  /// Queued, and without a lease.
  private static let unleased: [Situation] = [.claimed, .claimerDead, .claimedAgain, .published, .lost, .reaped]
  /// Still the lease of the consumer, as far as the row says.
  private static let mine: [Situation] = [.leased, .leaseOver]

  private static let claims: [Rule] = [
    Rule("claim", ["claimed": [.pending, .retried]]) { play, scene in
      try await play.claim().ids.contains(scene.id) ? "claimed" : nothing
    },
    Rule("record the publication of the first claim", ["published": [.claimed, .claimerDead]]) { play, scene in
      let before = try await play.row(scene.id).publishedAt
      try await play.publish([scene.claim])
      let after = try await play.row(scene.id).publishedAt
      return before == nil && after != nil ? "published" : nothing
    },
    // Not if a consumer may have started it.
    Rule("give the first claim back", ["pending": [.claimed, .claimerDead, .published, .lost]]) { play, scene in
      let before = try await play.row(scene.id).status
      try await play.unclaim([scene.claim])
      let after = try await play.row(scene.id).status
      return before == after ? nothing : after.rawValue
    },
    Rule("ask whether the first claim is owed", ["owed": [.claimed, .claimerDead]]) { play, scene in
      try await play.owed([scene.claim]) == [scene.claim] ? "owed" : nothing
    },
    Rule("look for own claims", ["1": [.claimed, .claimerDead, .claimedAgain]], otherwise: "0") { play, _ in
      try await "\(play.ownClaims().count)"
    },
  ]

  private static let refusals: KeyValuePairs<String, [Situation]> = [
    "pending": [.pending, .delayed, .held], "mine": [.leased], "held": [.leasedByOther], "waiting": [.waiting],
    "dispatched": [.dispatched, .running, .completed], "failed": [.failed], "cancelled": [.cancelled],
    "outdated": [.retried],
  ]

  private static let leases: [Rule] = [
    Rule("lease by the first ticket", refusals, otherwise: "leased") { play, scene in
      try await play.lease([scene.claim])[0].word
    },
    Rule(
      "lease twice in a batch",
      [
        "pending": [.pending, .delayed, .held], "held": [.leasedByOther],
        "waiting": [.waiting], "dispatched": [.dispatched, .running, .completed], "failed": [.failed],
        "cancelled": [.cancelled], "outdated": [.retried],
      ], otherwise: "mine"
    ) { play, scene in
      try await play.lease([scene.claim, scene.claim])[1].word
    },
    Rule(
      "lease when one lost holder is the limit",
      [
        "pending": [.pending, .delayed, .held], "mine": [.leased],
        "held": [.leasedByOther, .holderDead], "waiting": [.waiting],
        "dispatched": [.dispatched, .running, .completed], "failed": [.failed], "cancelled": [.cancelled],
        "outdated": [.retried],
      ], otherwise: "leased"
    ) { play, scene in
      try await play.lease([scene.claim], failureMax: 1)[0].word
    },
    Rule("ask whether the lease is still there", ["true": mine], otherwise: "false") { play, scene in
      try await "\(play.isLeased(scene.lease))"
    },
    Rule(
      "record a dispatch", ["overtaken": unclaimed + [.leasedByOther, .holderDead], "cancelled": [.cancelled]],
      otherwise: "recorded"
    ) { play, scene in
      try await "\(play.record(scene.id))"
    },
    Rule("record a dispatch of another attempt", [:], otherwise: "overtaken") { play, scene in
      try await "\(play.record(scene.id, attempt: 3))"
    },
  ]

  private static let writes: [Rule] = [
    Rule("postpone", ["pending": mine]) { play, scene in word(try await play.postpone(scene.lease)) },
    Rule("retry later", ["pending": mine]) { play, scene in word(try await play.retryLater(scene.lease)) },
    Rule("retry later, at the last failure", ["failed": mine]) { play, scene in
      word(try await play.retryLater(scene.lease, failureMax: 1))
    },
    Rule("leave queued", ["queued": mine]) { play, scene in word(try await play.leaveQueued(scene.lease)) },
    Rule("leave queued, at the last failure", ["failed": mine]) { play, scene in
      word(try await play.leaveQueued(scene.lease, failureMax: 1))
    },
    Rule("leave queued, uncounted", ["queued": mine]) { play, scene in
      word(try await play.leaveQueued(scene.lease, isCounted: false, failureMax: 1))
    },
    Rule("fail", ["failed": mine]) { play, scene in word(try await play.fail(scene.lease)) },
    Rule("drop the lease", ["dropped": mine]) { play, scene in
      let before = try await play.row(scene.id).leaseOwner
      try await play.drop(scene.lease)
      let after = try await play.row(scene.id).leaseOwner
      return before != nil && after == nil ? "dropped" : nothing
    },
  ]

  private static let recovery: [Rule] = [
    Rule(
      "reap",
      [
        "unpublished": [.claimerDead], "lease_expired": [.leaseOver, .holderDead, .waitOver],
        "lost": [.lost],
      ]
    ) { play, _ in try await play.reap().word },
    Rule(
      "reap when one lost holder is the limit",
      [
        "unpublished": [.claimerDead],
        "lease_expired": [.leaseOver, .waitOver], "failed": [.holderDead], "lost": [.lost],
      ]
    ) { play, _ in
      try await play.reap(failureMax: 1).word
    },
    Rule(
      "reap after a long time",
      [
        "unpublished": [.claimed, .claimerDead, .claimedAgain, .reaped],
        "lease_expired": [.leased, .leasedByOther, .leaseOver, .holderDead, .waitOver],
        "stale": [.published, .dropped], "lost": [.lost],
      ]
    ) { play, _ in
      try await play.pass(.seconds(1_501))
      return try await play.reap().word
    },
    Rule("reap twice", [:]) { play, _ in
      _ = try await play.reap()
      return try await play.reap().word
    },
    Rule("take silent reviews", [:]) { play, _ in try await play.takeSilent().word },
    Rule("take silent reviews after a long time", ["queued": [.dispatched], "running": [.running]]) { play, _ in
      try await play.pass(.seconds(1_801))
      return try await play.takeSilent().word
    },
  ]

  /// What a report is answered that is applied to reviews which are queued or running.
  private static func ignored(_ running: [Situation] = []) -> KeyValuePairs<String, [Situation]> {
    [
      "ignored: pending": unclaimed, "ignored: completed": [.completed], "ignored: failed": [.failed],
      "ignored: cancelled": [.cancelled], "ignored: running": running,
    ]
  }

  private static let reports: [Rule] = [ReviewStatus.running, .completed, .failed, .cancelled].flatMap { status in
    [
      Rule("report \(status.rawValue) of the attempt", ignored(), otherwise: status.rawValue) { play, scene in
        try await play.reported(scene.id, status, attempt: 1)
      },
      Rule("report \(status.rawValue) without attempt and session", ignored(), otherwise: status.rawValue) {
        play, scene in
        try await play.reported(scene.id, status, attempt: nil)
      },
      Rule("report \(status.rawValue) of another session", ignored([.running]), otherwise: status.rawValue) {
        play, scene in
        try await play.reported(scene.id, status, attempt: nil, session: "s2")
      },
    ]
  }

  private static let operations: [Rule] = [
    Rule(
      "cancel",
      [
        "conflict: completed": [.completed], "conflict: failed": [.failed],
        "conflict: cancelled": [.cancelled],
      ], otherwise: "cancelled"
    ) { play, scene in
      try await play.ledger.cancel(scene.id).word
    },
    Rule("count cancels for the worker, after a cancel", ["0": unclaimed + [.completed, .failed]], otherwise: "1") {
      play, scene in
      _ = try await play.ledger.cancel(scene.id)
      return try await "\(play.ledger.outboxCount())"
    },
    Rule(
      "retry",
      [
        "pending": [.failed, .cancelled], "conflict: pending": unclaimed,
        "conflict: running": [.running], "conflict: completed": [.completed],
      ], otherwise: "conflict: queued"
    ) {
      play, scene in
      try await play.ledger.retry(scene.id).word
    },
    Rule(
      "retry, then use the first ticket",
      [
        "outdated": [.failed, .cancelled, .retried],
        "dispatched": [.running, .completed, .dispatched], "pending": [.pending, .delayed, .held],
        "mine": [.leased], "held": [.leasedByOther], "waiting": [.waiting],
      ], otherwise: "leased"
    ) { play, scene in
      _ = try await play.ledger.retry(scene.id)
      return try await play.lease([scene.claim])[0].word
    },
  ]

  private static func word(_ status: ReviewStatus?) -> String { status?.rawValue ?? nothing }
}

extension Play {
  /// Reports, and says how the review stands then.
  fileprivate func reported(_ id: UUID, _ status: ReviewStatus, attempt: Int?, session: String? = nil) async throws
    -> String
  {
    switch try await report(id, status, attempt: attempt, session: session) {
    case .applied: try await row(id).status.rawValue
    case .ignored(let status): "ignored: \(status.rawValue)"
    case .unknownReview: "unknown"
    }
  }
}

extension LeaseVerdict {
  var word: String {
    switch self {
    case .leased: "leased"
    case .unreadable: "unreadable"
    case .dispatched: "dispatched"
    case .unknown: "unknown"
    case .notDispatchable(let reason): reason
    case .mine: "mine"
    case .leasedElsewhere: "held"
    case .lockedByOther: "locked"
    }
  }
}

extension OperationAnswer {
  var word: String {
    switch self {
    case .done(let status, _): status.rawValue
    case .conflict(let status): "conflict: \(status.rawValue)"
    case .unknownReview: "unknown"
    }
  }
}

extension [Reaped] {
  /// Of the only one.
  fileprivate var word: String {
    switch first {
    case nil: "-"
    case .republish(_, let reason): reason.rawValue
    case .failed: "failed"
    }
  }
}

extension [SilentReview] {
  fileprivate var word: String { first?.status.rawValue ?? "-" }
}
