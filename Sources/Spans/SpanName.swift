package import Tracing

/// Every span of Baton. The page `Traces.md` has this table, and a test holds both together.
@usableFromInline
package enum SpanName: String, Sendable, CaseIterable {
  case intake
  case processWebhook = "process webhook"
  case claim
  case claimBatch = "claim batch"
  case publish
  case dispatch
  case lease
  case prepare
  case callPlatform = "call platform"
  case callWorker = "call worker"
  case askWorker = "ask worker"
  case record
  case acceptRun = "accept run"
  case run
  case agent
  case report
  case callback
  case feedback
  case platformTask = "platform task"

  /// Its role in a call or a message.
  package var kind: SpanKind {
    switch self {
    case .intake, .acceptRun, .callback: .server
    case .callPlatform, .callWorker, .askWorker, .report: .client
    case .publish: .producer
    case .dispatch: .consumer
    case .claimBatch, .lease, .record: .client
    case .processWebhook, .claim, .prepare, .run, .agent, .feedback, .platformTask: .internal
    }
  }

  /// The span, or the place, that it belongs to.
  package var parent: String {
    switch self {
    case .intake: "the caller's `traceparent`, or none: it begins the trace"
    case .processWebhook, .claim, .publish, .feedback: "`intake`"
    case .platformTask: "the `intake` of the webhook"
    case .claimBatch: "none: a trace of its own, with a link to each review"
    case .dispatch: "`publish`, of any process"
    case .lease, .prepare, .callWorker, .askWorker, .record: "`dispatch`"
    case .callPlatform: "`prepare`, `feedback` or `platform task`"
    case .acceptRun: "`call worker`"
    case .run, .report: "`accept run`"
    case .agent: "`run`"
    case .callback: "`report`, or the worker's own `traceparent` of this trace; else `intake`"
    }
  }

  /// The role that records it, and what its time is.
  package var meaning: String {
    switch self {
    case .intake: "`serve`: a webhook with a right signature, or a review of the API, until the answer"
    case .processWebhook: "`serve`: a webhook that became a review, until that is committed"
    case .claim: "`produce`: the statement that claimed the review with others; a link leads to `claim batch`"
    case .claimBatch: "`produce`: one statement that claimed reviews"
    case .publish: "`produce`, `reap`: a ticket, until the broker's confirm"
    case .dispatch: "`consume`: one delivery of a ticket, until it is settled"
    case .lease: "`consume`: until it is decided who has the review"
    case .prepare: "`consume`: all that is asked of the platform for the payload"
    case .callPlatform: "`consume`, `serve`, `reap`: one call of GitHub or GitLab; redirects are calls of their own"
    case .callWorker: "`consume`: the `POST` to the worker"
    case .askWorker: "`consume`: the question what the worker knows, after an unclear answer"
    case .record: "`consume`: until the outcome of the attempt is in the row"
    case .acceptRun: "`worker`: a start, until the answer"
    case .run: "`worker`: from the start of the agent until its end is recorded"
    case .agent: "`worker`: the agent's process; it gets this span as `TRACEPARENT`"
    case .report: "`worker`: one try to send a callback"
    case .callback: "`serve`: a callback that was recognised, until the row is written"
    case .feedback: "`serve`: one reaction, check or commit status"
    case .platformTask: "`serve`: what a webhook asks of the platform"
    }
  }

  /// The names of its attributes, but `error.type`, which each may have.
  package var attributes: [String] {
    let review = [SpanKey.reviewID, SpanKey.attempt]
    let server = [SpanKey.method, SpanKey.route, SpanKey.statusCode]
    let client = [SpanKey.method, SpanKey.address, SpanKey.port, SpanKey.path, SpanKey.statusCode]
    let message = [
      SpanKey.messagingSystem, SpanKey.messagingOperation, SpanKey.messagingOperationType, SpanKey.destination,
    ]
    let statement = [SpanKey.databaseSystem, SpanKey.databaseOperation]
    return switch self {
    case .intake: [SpanKey.reviewID] + server + [SpanKey.platform, SpanKey.event]
    case .processWebhook: review + [SpanKey.platform]
    case .claim: review
    case .claimBatch: statement + [SpanKey.batchSize]
    case .publish: review + message + [SpanKey.batchCount, SpanKey.outcome]
    case .dispatch: review + message + [SpanKey.failures, SpanKey.outcome]
    case .lease: statement + [SpanKey.outcome]
    case .prepare: review + [SpanKey.platform]
    case .callPlatform, .askWorker: client
    case .callWorker: review + client
    case .record: review + statement
    case .acceptRun, .callback: review + server + [SpanKey.status]
    case .run: review + [SpanKey.isAdopted]
    case .agent: [SpanKey.outcome]
    case .report: review + client + [SpanKey.status]
    case .feedback: review + [SpanKey.platform]
    case .platformTask: [SpanKey.platform]
    }
  }

  /// The spans as the table of the page `Traces.md`.
  package static var markdownTable: String {
    let rows = allCases.map { span in
      let attributes = span.attributes.map { "`\($0)`" }.joined(separator: ", ")
      return "| `\(span.rawValue)` | \(span.kind) | \(span.parent) | \(span.meaning) | \(attributes) |"
    }
    return (["| span | kind | parent | recorded by, and its time | attributes |", "|---|---|---|---|---|"] + rows)
      .joined(separator: "\n") + "\n"
  }
}
