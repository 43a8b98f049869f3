internal import ArgumentParser
internal import Assembly
internal import BatonServer
internal import Dispatching
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Settings
internal import WorkerAPI

/// `baton show`.
struct ShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Shows one review: every field, what happened to it, and what to do about an error.",
    discussion: """
      EXAMPLES:
        baton show 0b6e6c1e
        baton show 0b6e6c1e-6f0e-4c39-9d0a-3c1f5a1f7a11 --events
        baton show 0b6e6c1e --json | jq .transitions

      With --json, what GET /api/reviews/ID answers, with "advice" (null without an error), \
      "waitsFor" (why it is not on its way: due_later, paused, limit, unclaimed and so on; null if it is), \
      "undeliveredFeedback" ([{"subject", "dueSince", "tries", "lastError", "nextTry", "givenUpAt"}]: reactions and checks that could not be \
      delivered, nextTry null if given up) and, with --events, "events".
      --events asks the worker, so it needs BATON_WORKER_URL and BATON_WORKER_TOKEN.
      """)

  @Argument(help: ArgumentHelp("The review, by its id or its first digits, four or more.", valueName: "id"))
  var reference: IDReference

  @Flag(help: "Also show what the worker says about the run.")
  var events = false

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var worker: WorkerOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession(
      "baton show", common, [database, worker],
      requiring: events ? [.databaseURL, .workerURL, .workerToken] : [.databaseURL])
    let (id, page) = try await session.withStore { store in
      let id = try await store.id(reference)
      guard let review = try await store.review(id) else {
        throw Failure(.failed, "no review \(id.lowercase) in this database; `baton list` shows those that there are")
      }
      let policy = DispatchPolicy(session.settings)
      let page = ReviewPageText(
        review: review, transitions: try await store.transitions(of: id),
        undeliveredCancels: try await store.undeliveredCancels(of: id),
        undeliveredFeedback: try await store.undeliveredFeedback(of: id),
        blockReason: try await store.blockReason(
          of: id, policy.reapTimes, queue: policy.queue, ownerLimit: session.settings.ownerLimit),
        now: try await store.now())
      return (id, page)
    }
    let runEvents = events ? try await session.events(of: id) : nil
    if json {
      try Output.json(
        ShowOutput(
          body: ReviewBody(page.review, transitions: page.transitions), blockReason: page.blockReason,
          undeliveredFeedback: page.undeliveredFeedback, events: runEvents))
    } else {
      var page = page
      page.events = runEvents
      let terminal = Terminal.output
      try Output.lines(page.lines(width: terminal.width, usesColor: terminal.usesColor))
    }
  }
}

/// What `baton show --json` prints.
struct ShowOutput: Encodable {
  var body: ReviewBody
  var blockReason: BlockReason?
  var undeliveredFeedback: [UndeliveredFeedback]
  var events: [RunEvent]?

  private enum CodingKeys: String, CodingKey { case advice, waitsFor, undeliveredFeedback, events }

  func encode(to encoder: any Encoder) throws {
    try body.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(body.review.advice, forKey: .advice)
    try container.encode(blockReason?.rawValue, forKey: .waitsFor)
    try container.encode(undeliveredFeedback.map { UndeliveredFeedbackOutput($0) }, forKey: .undeliveredFeedback)
    try container.encodeIfPresent(events, forKey: .events)
  }
}

/// A reaction or a check that could not be delivered, in JSON, every key always present.
private struct UndeliveredFeedbackOutput: Encodable {
  let feedback: UndeliveredFeedback

  init(_ feedback: UndeliveredFeedback) { self.feedback = feedback }

  private enum CodingKeys: String, CodingKey { case subject, dueSince, tries, lastError, nextTry, givenUpAt }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(feedback.subject.rawValue, forKey: .subject)
    try container.encode(feedback.dueSince, forKey: .dueSince)
    try container.encode(feedback.tries, forKey: .tries)
    try container.encode(feedback.lastError, forKey: .lastError)
    try container.encode(feedback.nextTry, forKey: .nextTry)
    try container.encode(feedback.givenUpAt, forKey: .givenUpAt)
  }
}
