internal import ArgumentParser
internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton submit`.
struct SubmitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "submit",
    abstract: "Submits reviews: one by flags, or many from a file.",
    discussion: """
      A review of the same owner, pull request and commit as an existing one is not made again: the existing one is reported.

      EXAMPLES:
        baton submit --owner org:acme --platform github --repo acme/shop \\
          --number 42 --title "Add a cart" --author ann --base main --head cart \\
          --sha 3f2a9c1d --wait
        baton submit --file reviews.jsonl
        jq -c '.[]' all.json | baton submit --file - --wait --timeout 10m
        baton submit --sandbox 20 --owners 4 --wait

      A file holds one JSON object, a JSON array of them, or an object on each line, with the fields of POST /api/reviews:
        {"owner": {"type": "org", "id": "acme"}, "platform": "github",
         "repoFullName": "acme/shop", "prNumber": 42,
         "prUrl": "https://github.com/acme/shop/pull/42",
         "prTitle": "Add a cart", "prAuthor": "ann",
         "baseRef": "main", "headRef": "cart", "headSha": "3f2a9c1d"}
      and, where wanted, userId, platformIntegrationId, platformProjectId, platformRepositoryId, priority and availableAt, the time before \
      which the review does not start. What is malformed is named with its \
      line; the rest is submitted, and the exit status is 1.

      With --wait the exit status is 0 only if all reviews have completed.
      With --sandbox and --wait it is 0 only if each was also dispatched exactly once: one claim, one start, no failure, no \
      second attempt. --json then has claimedMs, queuedMs, preparedMs, dispatchedMs and completedMs since the submission, \
      dispatchedOnce and faults.
      With --json, one line a review: {"id", "isNew", "status", "attempt", "owner", "platform", "repoFullName", \
      "prNumber", "headSha", "errorCode", "errorMessage"}; null for what is not known without --wait.
      """)

  @OptionGroup(title: "One review") var flags: ReviewFlags

  @Option(
    help: ArgumentHelp("Read reviews from this file; - is standard input.", valueName: "file"), completion: .file())
  var file: String?

  @Option(
    help: ArgumentHelp(
      "Submit this many reviews of the sandbox's recorded pull requests, new ones at every run.", valueName: "n"))
  var sandbox: Int?

  @Option(help: ArgumentHelp("With --sandbox: owners that they belong to, each given a configuration.", valueName: "k"))
  var owners = 1

  @Flag(help: "Show their progress until all have ended.")
  var wait = false

  @Option(help: ArgumentHelp("With --wait: give up watching after this; the reviews go on.", valueName: "time"))
  var timeout: TimeSpan?

  @Flag(help: "Print JSON, one line a review.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func validate() throws {
    let sources = [!flags.isEmpty, file != nil, sandbox != nil].count { $0 }
    guard sources <= 1 else { throw ValidationError("Give the flags of one review, or --file, or --sandbox.") }
    if sources == 0 {
      throw ValidationError("Nothing to submit: give --owner, --platform, --repo and so on, or --file, or --sandbox.")
    }
    if !flags.isEmpty { _ = try flags.review() }
    if let sandbox, !(1...100_000).contains(sandbox) {
      throw ValidationError("--sandbox has to be from 1 to 100000.")
    }
    guard (1...1_000).contains(owners) else { throw ValidationError("--owners has to be from 1 to 1000.") }
    if timeout != nil && !wait { throw ValidationError("--timeout needs --wait.") }
  }

  func run() async throws {
    let session = try CommandSession("baton submit", common, [database], requiring: [.databaseURL])
    let pullRequests = sandbox == nil ? [] : try await SandboxProgram().pullRequests()
    try await session.withStore { store in
      if let sandbox {
        let run = SandboxRun(
          pullRequests: pullRequests, count: sandbox, ownerCount: owners, waits: wait, timeout: timeout?.duration,
          json: json)
        try await run.run(store)
      } else {
        try await submit(to: store)
      }
    }
  }

  private func submit(to store: ReviewStore) async throws {
    var kept: [Submitter.Submitted] = []
    var submitter = Submitter(store: store) { batch in
      if wait { kept += batch } else { try printSubmitted(batch) }
    }
    if let file {
      let input = try InputFile(file)
      var reader = SubmissionReader()
      while true {
        let bytes = try input.read()
        try await submitter.submit(bytes.isEmpty ? reader.finish() : reader.take(bytes))
        if bytes.isEmpty { break }
      }
    } else {
      try await submitter.submit([.init(place: "review", result: .success(try flags.review()))])
    }
    let isWaitGood = try await wait ? waitForEnd(of: kept, in: store) : true
    if submitter.faultCount > 0 { Output.note("\(submitter.faultCount) of the reviews could not be submitted") }
    if submitter.faultCount > 0 || !isWaitGood { throw Failure.reported }
  }

  private func printSubmitted(_ batch: [Submitter.Submitted]) throws {
    if json {
      for item in batch { try Output.json(SubmissionOutput(review: item.review, submission: item.submission)) }
    } else {
      try Output.lines(
        batch.map { item in
          let note = item.submission.isNew ? "" : "  (existing)"
          return "\(item.submission.id.lowercase)  \(item.submission.status.rawValue)  \(item.review.label)\(note)"
        })
    }
  }

  /// - Returns: whether all have completed.
  private func waitForEnd(of items: [Submitter.Submitted], in store: ReviewStore) async throws -> Bool {
    guard !items.isEmpty else { return true }
    for item in items where !item.submission.isNew {
      Output.note(
        "\(item.review.label) exists already: \(item.submission.id.lowercase), \(item.submission.status.rawValue)")
    }
    let watch = ReviewWatch(store: store, timeout: timeout?.duration)
    let progress = try await watch.follow(items.map(\.progressItem))
    let rows = try await store.rows(of: items.map(\.submission.id))
    if json {
      for item in items {
        try Output.json(
          SubmissionOutput(review: item.review, submission: item.submission, row: rows[item.submission.id]))
      }
    } else {
      let terminal = Terminal.output
      let reviews = items.compactMap { rows[$0.submission.id] }
      try Output.lines(Self.table(of: reviews).lines(width: terminal.width, usesColor: terminal.usesColor))
    }
    if !progress.open.isEmpty {
      Output.note(
        "Error: \(progress.open.count) of \(items.count) reviews have not ended in time; `baton list` shows them")
    }
    return items.allSatisfy { rows[$0.submission.id]?.status == .completed }
  }

  static func table(of reviews: [Review]) -> Table {
    var table = Table([
      .whole("ID"), .left("STATUS"), .pullRequest("PULL REQUEST"), .prose("REASON"), .optional("TOOK"),
      .optional("ATTEMPT"),
    ])
    for review in reviews {
      table.append([
        .init(review.id.lowercase), .init(review.status.rawValue, review.status.style), .init(review.pullRequest),
        .init(review.outcome ?? "", review.status == .failed ? .red : .dim),
        .init(review.completedAt.map { Times.span($0.since(review.createdAt)) }), .init("\(review.attempt)"),
      ])
    }
    return table
  }
}

extension Submitter.Submitted {
  var progressItem: Progress.Item {
    Progress.Item(id: submission.id, label: review.label, status: submission.status, attempt: 1)
  }
}

extension ReviewStore {
  /// The rows of reviews by id, read in pages.
  func rows(of ids: [UUID]) async throws -> [UUID: Review] {
    var rows: [UUID: Review] = [:]
    for start in stride(from: 0, to: ids.count, by: 1_000) {
      for row in try await reviews(Array(ids[start..<min(start + 1_000, ids.count)])) { rows[row.id] = row }
    }
    return rows
  }
}
