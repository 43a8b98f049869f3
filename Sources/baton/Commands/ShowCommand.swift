internal import ArgumentParser
internal import BatonServer
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
        baton show 0b6e6c1e-6f0e-4c39-9d0a-3c1f5a1f7a11
        baton show 0b6e6c1e-6f0e-4c39-9d0a-3c1f5a1f7a11 --events
        baton show 0b6e6c1e-6f0e-4c39-9d0a-3c1f5a1f7a11 --json | jq .transitions

      With --json, what GET /api/reviews/ID answers, with "advice" (null without an error) and, with --events, "events".
      --events asks the worker, so it needs BATON_WORKER_URL and BATON_WORKER_TOKEN.
      """)

  @Argument(help: ArgumentHelp("The review.", valueName: "id"))
  var id: ReviewID

  @Flag(help: "Also show what the worker says about the run.")
  var events = false

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var worker: WorkerOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try Session(
      "baton show", common, [database, worker],
      requiring: events ? [.databaseURL, .workerURL, .workerToken] : [.databaseURL])
    let (review, transitions, cancels, now) = try await session.withStore { store in
      guard let review = try await store.review(id.uuid) else {
        throw Failure(
          .failed, "no review \(id.uuid.lowercase) in this database; `baton list` shows those that there are")
      }
      return (
        review, try await store.transitions(of: id.uuid), try await store.undeliveredCancels(of: id.uuid),
        try await store.now()
      )
    }
    let runEvents = events ? try await session.events(of: id.uuid) : nil
    if json {
      try Output.json(ShowOutput(body: ReviewBody(review, transitions: transitions), events: runEvents))
    } else {
      let page = ReviewPageText(
        review: review, transitions: transitions, undeliveredCancels: cancels, events: runEvents, now: now)
      let terminal = Terminal.output
      try Output.lines(page.lines(width: terminal.width, usesColor: terminal.usesColor))
    }
  }
}

/// What `baton show --json` prints.
struct ShowOutput: Encodable {
  var body: ReviewBody
  var events: [RunEvent]?

  private enum CodingKeys: String, CodingKey { case advice, events }

  func encode(to encoder: any Encoder) throws {
    try body.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(body.review.advice, forKey: .advice)
    try container.encodeIfPresent(events, forKey: .events)
  }
}
