internal import AMQPClient
internal import ArgumentParser
internal import Primitives
internal import ReviewQueue
internal import Reviews
internal import Settings

/// `baton dead`.
struct DeadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dead",
    abstract: "Looks at the dead-letter queue and empties it.",
    discussion: """
      Only poison is there: messages that are no tickets of Baton's, and tickets that the broker has delivered too often.
      The reviews themselves are safe in Postgres.

      EXAMPLES:
        baton dead list
        baton dead purge --yes
      """,
    subcommands: [DeadListCommand.self, DeadPurgeCommand.self])
}

/// `baton dead list`.
struct DeadListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Shows the oldest dead letters; they stay where they are.",
    discussion: """
      EXAMPLES:
        baton dead list --limit 5
        baton dead list --json | jq -r '.messages[].reviewId'

      With --json: {"messages": [{"reason", "messageId", "diedAt", "reviewId", "attempt", "body"}]}; null for what a \
      message does not say.
      """)

  @Option(help: "The most messages to show, 1 to 1000.")
  var limit = 20

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func validate() throws {
    guard (1...1_000).contains(limit) else { throw ValidationError("--limit has to be from 1 to 1000.") }
  }

  func run() async throws {
    let session = try Session("baton dead list", common, [broker], requiring: [.amqpURL])
    let letters = try await session.withBroker { connection in
      DeadLetter.letters(try await connection.peek(ReviewTopology.deadQueue, limit: limit))
    }
    guard !json else { return try Output.json(DeadLetterPage(messages: letters.map { DeadLetterOutput(letter: $0) })) }
    guard !letters.isEmpty else { return Output.note("No dead letter.") }
    let terminal = Terminal.output
    let now = Timestamp.processNow
    try Output.lines(letters.table(now: now).lines(width: terminal.width, usesColor: terminal.usesColor))
  }
}

/// What `baton dead list --json` prints.
struct DeadLetterPage: Encodable {
  var messages: [DeadLetterOutput]
}

/// A dead letter in JSON, its review's id in lower case as Postgres has it, every key always present.
struct DeadLetterOutput: Encodable {
  var letter: DeadLetter

  private enum CodingKeys: String, CodingKey { case reason, messageId, diedAt, reviewId, attempt, body }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(letter.reason, forKey: .reason)
    try container.encode(letter.messageId, forKey: .messageId)
    try container.encode(letter.diedAt, forKey: .diedAt)
    try container.encode(letter.reviewId?.lowercase, forKey: .reviewId)
    try container.encode(letter.attempt, forKey: .attempt)
    try container.encode(letter.body, forKey: .body)
  }
}

extension [DeadLetter] {
  /// A row for each; if the body is a ticket, its review says more than the body.
  func table(now: Timestamp) -> Table {
    var table = Table([.prose("REASON"), .left("DIED"), .left("REVIEW"), .right("ATTEMPT"), .prose("BODY")])
    for letter in self {
      table.append([
        .init(letter.reason, .yellow), .init(letter.diedAt.map { Times.relative($0, to: now) }),
        .init(letter.reviewId?.lowercase), .init(letter.attempt.map { "\($0)" }),
        .init(String(letter.body.prefix(200))),
      ])
    }
    return table
  }
}

/// `baton dead purge`.
struct DeadPurgeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "purge",
    abstract: "Deletes all dead letters; they cannot be restored.",
    discussion: """
      EXAMPLES:
        baton dead purge
        baton dead purge --yes
      """)

  @Flag(name: [.customLong("yes"), .customShort("y")], help: "Do not ask.")
  var isConfirmed = false

  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func validate() throws {
    guard isConfirmed || Terminal.canAsk else {
      throw ValidationError("There is no terminal to ask on: add --yes to delete all dead letters.")
    }
  }

  func run() async throws {
    let session = try Session("baton dead purge", common, [broker], requiring: [.amqpURL])
    let isConfirmed = isConfirmed
    try await session.withBroker { connection in
      if !isConfirmed {
        let count = try await connection.queueStatus(ReviewTopology.deadQueue).messagesReady
        guard count > 0 else { return try Output.line("0 dead letters deleted") }
        try Output.write("Delete \(count) dead letters for ever? [y/N] ", to: Output.standardError)
        guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else {
          throw Failure(.failed, "nothing was deleted")
        }
      }
      try Output.line("\(try await connection.purge(ReviewTopology.deadQueue)) dead letters deleted")
    }
  }
}
