import AMQPClient
import Foundation
import HTTPKit
import Primitives
import ReviewQueue
import Reviews
import Support
import Testing
import WorkerAPI

@testable import BatonServer
@testable import ReviewStore

@Suite("Dashboard pages")
struct DashboardPageTests {
  private static let now = Timestamp(microseconds: 1_795_000_000_000_000)
  private static let visitor = Visitor(right: .act, actor: "dashboard", csrfToken: "c5rf")

  private static func review(_ status: ReviewStatus, text: String) -> Review {
    Review(
      id: UUID(), ownerType: .org, ownerId: text, userId: nil, platform: .github, platformIntegrationId: nil,
      platformProjectId: nil, repoFullName: text, prNumber: 7, prUrl: "https://example.com/\(text)", prTitle: text,
      prAuthor: text, baseRef: text, headRef: text, headSha: text, status: status, statusReason: text, priority: 1,
      attempt: 2, availableAt: now, claimedAt: now, publishedAt: now, republishCount: 1, leaseLosses: 1,
      leaseOwner: nil,
      leaseExpiresAt: nil, dispatchFailures: 1, preparedAt: now, dispatchedAt: now, sessionId: text, cliSessionId: text,
      agentVersion: text, previousSessionId: nil, errorCode: status == .failed ? "agent_failed" : nil,
      errorMessage: status == .failed ? text : nil, startedAt: now, completedAt: now, createdAt: now, updatedAt: now,
      model: text, totalTokensIn: 1_234, totalTokensOut: 5, totalCostMicrousd: 1_234_567)
  }

  private static func overview(_ text: String) -> Overview {
    let owner = Owner(type: .user, id: text)
    return Overview(
      now: now,
      stats: StoreStats(
        counts: [.pending: 5, .queued: 3, .running: 2], oldestPending: .seconds(70), oldestQueued: .seconds(3),
        unacknowledged: 1, consumers: 1),
      queue: QueueFigures(name: text, ready: 1, consumers: 1, dead: 2),
      owners: [
        OwnerLoad(
          owner: owner, limit: 20, ownLimit: nil, isPaused: true, due: 3, dueSince: now, later: 2, nextDue: now,
          queued: 3, running: 2,
          waiting: .paused),
        OwnerLoad(
          owner: owner, limit: 0, ownLimit: 0, isPaused: false, due: 1, dueSince: Timestamp(microseconds: 0), later: 0,
          nextDue: nil,
          queued: 0, running: 0, waiting: .unclaimed),
      ],
      blockedReviews: BlockReason.allCases.map {
        BlockedReviews(reason: $0, count: 2, since: now, examples: [UUID(), UUID()])
      },
      failures: [
        FailureGroup(code: text, count: 2, lastAt: now, lastID: UUID(), lastMessage: text),
        FailureGroup(code: "agent_failed", count: 1, lastAt: now, lastID: UUID(), lastMessage: nil),
      ], givenUp: GivenUpFeedback(reviewCount: 2, lastAt: now, lastError: text, examples: [UUID(), UUID()]),
      flow: [
        FlowMinute(
          start: Timestamp(microseconds: now.microseconds - now.microseconds % 60_000_000 - 120_000_000),
          dispatched: 12,
          waitMedian: .seconds(2), waitP95: .seconds(9), completed: 3, failed: 2, cancelled: 1)
      ],
      holders: [
        HolderStanding(
          role: text, host: text, processID: 1, startedAt: now, heartbeatAt: now, inFlight: 1, isDead: true)
      ],
      ownerLimit: 20)
  }

  /// One of each kind: of a review, of one that is gone, and of no review.
  private static func letters(about review: Review, text: String) -> DeadLetterView {
    let deliveries = [
      AMQPDelivery(
        body: Ticket(reviewID: review.id, attempt: 1, claimedAt: now).body, messageID: text,
        headers: [
          "x-first-death-reason": "delivery_limit",
          "x-death": .array([.table(["time": .timestamp(1_794_999_000)])]),
        ]),
      AMQPDelivery(
        body: Ticket(reviewID: UUID(), attempt: 3, claimedAt: now).body, timestamp: 1_794_999_000,
        headers: ["baton-dead-reason": .string(text)]),
      AMQPDelivery(body: Array(text.utf8), headers: ["baton-dead-reason": .string(text)]),
    ]
    return DeadLetterView(
      now: now, count: 40, look: DeadLetterLook(letters: deliveries.map { DeadLetter($0) }, at: now, count: 30),
      reviews: [review.id: review])
  }

  private func page(_ body: HTML, visitor: Visitor? = visitor) throws -> PageReader {
    try PageReader(
      Page(
        title: "<t>", item: .overview, live: "/live?a=1&b=2", path: "/\"", now: Self.now, body: body, visitor: visitor
      )
      .html.markup)
  }

  @Test("every page is well-formed, and made of nothing but what this program wrote", arguments: HTMLTests.hostile)
  func wellFormed(text: String) throws {
    let bodies: [HTML] =
      ReviewStatus.allCases.flatMap { status -> [HTML] in
        let review = Self.review(status, text: text)
        let detail = ReviewDetail(
          now: Self.now, review: review,
          transitions: [
            ReviewTransition(at: Self.now, fromStatus: nil, toStatus: .pending, reason: text, actor: text),
            ReviewTransition(at: Self.now, fromStatus: .pending, toStatus: status, reason: nil, actor: nil),
          ],
          blockReason: status == .pending ? .dueLater : nil,
          undeliveredFeedback: PullRequestFeedback.Subject.allCases.map { subject in
            UndeliveredFeedback(
              subject: subject, dueSince: Self.now, tries: 3, lastError: text, nextTry: Self.now,
              givenUpAt: subject == .gate ? Self.now : nil)
          },
          undeliveredCancels: [true, false].map { isGivenUp in
            UndeliveredCancel(
              attempt: 1, since: Self.now, tries: 3, lastError: text, nextTry: isGivenUp ? nil : Self.now,
              givenUpAt: isGivenUp ? Self.now : nil)
          },
          events: .known([
            RunEvent(timestamp: Self.now, eventType: text, message: text),
            RunEvent(timestamp: Self.now, eventType: "tool", content: .object(["key": .string(text)])),
          ]))
        var query = ListQuery.all
        query.filter.repository = text
        let list = ReviewListPage(
          query: query,
          page: BrowsedPage(reviews: [review], next: ReviewCursor(createdAt: Self.now, id: UUID()), isCutShort: true),
          owner: Self.overview(text).owners[0], now: Self.now)
        let letters = DeadLetterPage(view: Self.letters(about: review, text: text))
        return [ReviewPage(detail: detail).body, list.body, "\(DeadLetterPage.head)\(letters.sections.map(\.element))"]
      } + ["\(OverviewPage(overview: Self.overview(text)).sections.map(\.element))"]
    for body in bodies {
      let page = try page(body)
      #expect(page.all("script").count == 1)
      #expect(
        page.elements.allSatisfy { element in !element.attributes.keys.contains { $0.hasPrefix("on") || $0 == "style" }
        })
      for url in page.elements.flatMap({ [$0.attributes["href"], $0.attributes["src"]] }).compactMap({ $0 }) {
        #expect(url.hasPrefix("/") || url.hasPrefix("#") || url.hasPrefix("https://example.com/"), "\(url)")
      }
      let ids = page.elements.compactMap { $0.attributes["id"] }
      #expect(Set(ids).count == ids.count, "an id stands twice")
    }
  }

  @Test("a review with any time and any number that the database can hold has a page")
  func extremes() throws {
    for (time, number) in [
      (Timestamp.infinity, Int64.max), (.negativeInfinity, .min), (Timestamp(microseconds: .max - 1), -1),
      (Timestamp(microseconds: .min + 1), 0),
    ] {
      var review = Self.review(.pending, text: "acme")
      for path: WritableKeyPath<Review, Timestamp> in [\.availableAt, \.createdAt, \.updatedAt] {
        review[keyPath: path] = time
      }
      for path: WritableKeyPath<Review, Timestamp?> in [
        \.claimedAt, \.publishedAt, \.dispatchedAt, \.startedAt, \.completedAt,
      ] { review[keyPath: path] = path == \.completedAt ? Self.now : time }
      (review.totalTokensIn, review.totalTokensOut, review.totalCostMicrousd) = (number, number, number)
      let detail = ReviewDetail(
        now: Self.now, review: review,
        transitions: [
          ReviewTransition(at: time, fromStatus: nil, toStatus: .pending, reason: nil, actor: nil),
          ReviewTransition(at: Self.now, fromStatus: .pending, toStatus: .queued, reason: nil, actor: nil),
        ], blockReason: .held, events: .known([RunEvent(timestamp: time, eventType: "x", message: nil)]))
      #expect(try !page(ReviewPage(detail: detail).body).all("dd").isEmpty)
      var overview = Self.overview("acme")
      (overview.stats.oldestPending, overview.stats.oldestQueued) = (.seconds(9e12), .seconds(9e12))
      overview.stats.held = 2
      overview.owners[0].dueSince = time
      overview.owners[0].nextDue = time
      #expect(try !page("\(OverviewPage(overview: overview).sections.map(\.element))").all("dd").isEmpty)
      #expect(overview.problems.contains { $0.title == "2 reviews held" })
    }
    var review = Self.review(.pending, text: "acme")
    review.availableAt = .infinity
    let text = ReviewPage(
      detail: ReviewDetail(now: Self.now, review: review, transitions: [], blockReason: .held, events: .none)
    ).body.markup
    #expect(text.contains("held: it is never due by itself") && text.contains("<dt>Due</dt><dd>never</dd>"))
  }

  @Test("every button belongs to the one form with the page's token, which a stranger's page has not")
  func buttons() throws {
    let body: HTML = "\(OverviewPage(overview: Self.overview("acme")).sections.map(\.element))"
    let page = try page(body)
    let buttons = page.all("button")
    #expect(!buttons.isEmpty && buttons.allSatisfy { $0["form"] == "act" && $0["formaction"] != nil })
    #expect(page.all("input").contains { $0["name"] == "csrf" && $0["value"] == "c5rf" })
    let strange = try self.page("<p>x</p>", visitor: nil)
    #expect(strange.all("form").isEmpty && strange.all("input").isEmpty)
  }

  @Test("the worst problem comes first and makes the headline; what is as it should be is only noted")
  func verdict() {
    var overview = Self.overview("acme")
    #expect(overview.problems.first?.grade == .bad)
    #expect(overview.problems.map(\.grade) == overview.problems.map(\.grade).sorted())
    overview.blockedReviews = []
    overview.queue?.dead = 0
    #expect(overview.problems.contains { $0.title == "Feedback could not be delivered to 2 pull requests" })
    overview.givenUp = nil
    overview.owners[1].dueSince = Self.now
    #expect(overview.problems.allSatisfy { $0.grade == .note })
    #expect(OverviewPage(overview: overview).sections[0].content.markup.contains("All is well"))
    overview.flow[0].failed = 30
    #expect(overview.problems.first?.title == "30 of the last 33 reviews failed")
    overview.queue?.consumers = 0
    overview.flow = []
    #expect(overview.problems.first?.title == "There is no consumer")
    overview.queue = nil
    #expect(overview.problems.first?.title == "The broker cannot be reached")
  }

  @Test("processes that have no row in the table are counted, the dead ones too")
  func manyProcesses() throws {
    var overview = Self.overview("acme")
    func standing(_ number: Int, isDead: Bool) -> HolderStanding {
      HolderStanding(
        role: "consume", host: "host", processID: number, startedAt: Self.now, heartbeatAt: Self.now, inFlight: 0,
        isDead: isDead)
    }
    let all = (1...40).map { standing($0, isDead: false) } + [standing(41, isDead: true)]
    for (shown, text) in [(40, "and 1 more"), (41, nil)] {
      overview.holders = Array(all.prefix(shown))
      overview.health = SystemHealth(
        now: Self.now, holders: all, stats: overview.stats,
        capacity: CapacityStats(
          oldestClaimable: nil, oldestRunning: nil, heldByLimit: 0, heldByPause: 0, reaperLastRun: nil))
      let processes = try #require(OverviewPage(overview: overview).sections.first { $0.id == "processes" })
      #expect(processes.content.markup.contains(" more</p>") == (text != nil))
      if let text { #expect(processes.content.markup.contains(text)) }
    }
  }

  @Test("a review is not claimed since it could be, and not since it is due")
  func unclaimed() throws {
    var overview = Self.overview("acme")
    func title() -> Problem? { overview.problems.first { $0.title.contains("not claimed") } }
    #expect(title()?.time == Timestamp(microseconds: 0))
    for (seconds, isShown) in [(5, false), (40, true)] {
      var holder = overview.holders[0]
      (holder.isDead, holder.heartbeatAt) = (false, Self.now)
      holder.health.allClaimedSeconds = Double(seconds)
      overview.health = SystemHealth(
        now: Self.now, holders: [holder], stats: overview.stats,
        capacity: CapacityStats(
          oldestClaimable: .seconds(720), oldestRunning: nil, heldByLimit: 0, heldByPause: 0, reaperLastRun: nil))
      #expect((title() != nil) == isShown)
      #expect(title().map { Self.now.since($0.time ?? Self.now) == .seconds(seconds) } ?? true)
    }
  }

  @Test("dead letters are listed with their reviews, why and when they died, and a button where a retry is possible")
  func deadLetters() throws {
    let failed = Self.review(.failed, text: "acme")
    var view = Self.letters(about: failed, text: "no JSON")
    let text = DeadLetterPage(view: view).sections[0].content.markup
    for part in [
      "40 dead letters, the oldest 3 of them below", "href=\"/reviews/\(failed.id.lowercase)\"",
      "<code>delivery_limit</code>",
      "2026-11-18 10:50:00", "agent_failed", "attempt 2", "unknown review", "no ticket", "no JSON",
      "formaction=\"/reviews/\(failed.id.lowercase)/retry\"",
    ] { #expect(text.contains(part), "\(part)") }
    let buttons = try page(DeadLetterPage(view: view).sections[0].element).all("button")
    #expect(buttons.filter { $0["formaction"]?.hasSuffix("/retry") ?? false }.count == 1)
    #expect(
      buttons.filter { $0["formaction"] == "/dead-letters/delete" }.compactMap { $0["value"] }
        == view.look?.letters.compactMap(\.messageId))
    view = Self.letters(about: Self.review(.queued, text: "acme"), text: "x")
    #expect(!DeadLetterPage(view: view).sections[0].content.markup.contains("/retry"))
    view.count = nil
    #expect(DeadLetterPage(view: view).sections[0].content.markup.contains("The broker cannot be reached"))
    view = DeadLetterView(now: Self.now, count: 0, look: DeadLetterLook(letters: [], at: Self.now, count: 0))
    #expect(DeadLetterPage(view: view).sections[0].content.markup.contains("There is no dead letter"))
  }

  @Test("nothing at all makes a page that says so")
  func empty() throws {
    let overview = Overview(
      now: Self.now,
      stats: StoreStats(counts: [:], oldestPending: nil, oldestQueued: nil, unacknowledged: 0, consumers: 0),
      queue: QueueFigures(name: "q", ready: 0, consumers: 1, dead: 0), ownerLimit: 20)
    let text = try page("\(OverviewPage(overview: overview).sections.map(\.element))").text
    for part in [
      "All is well", "Nothing in the last hour", "No review has failed", "No owner has a review", "No process",
    ] {
      #expect(text.contains(part), "\(part)")
    }
  }
}
