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
        baton dead show 0b6e6c1e
        baton dead delete 0b6e6c1e
        baton dead purge --yes
      """,
    subcommands: [DeadListCommand.self, DeadShowCommand.self, DeadDeleteCommand.self, DeadPurgeCommand.self])
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
      message does not say. A line on standard error says so if there are more than are shown.
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
    let session = try CommandSession("baton dead list", common, [broker], requiring: [.amqpURL])
    // Counted rather than looked at: the broker allows few looks at a message. And before, as it counts none that is looked at.
    let (count, letters) = try await session.withBroker {
      (try await $0.deadCount(), try await $0.deadLetters(limit: limit))
    }
    if count > letters.count, letters.count == limit { Output.noteMore(limitMax: 1_000) }
    guard !json else { return try Output.json(DeadLetterList(messages: letters.map { DeadLetterOutput(letter: $0) })) }
    guard !letters.isEmpty else { return Output.note("No dead letter.") }
    let terminal = Terminal.output
    let now = Timestamp.processNow
    try Output.lines(letters.table(now: now).lines(width: terminal.width, usesColor: terminal.usesColor))
  }
}

/// What `baton dead list --json` prints.
struct DeadLetterList: Encodable {
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
    var table = Table([
      .whole("REVIEW, OR MESSAGE"), .left("DIED"), .prose("REASON"), .optional("ATTEMPT"), .optional("BODY"),
    ])
    for letter in self {
      table.append([
        .init(letter.reviewId?.lowercase ?? letter.messageId), .init(letter.diedAt.map { Times.relative($0, to: now) }),
        .init(letter.reason, .yellow), .init(letter.attempt.map { "\($0)" }), .init(String(letter.body.prefix(60))),
      ])
    }
    return table
  }
}

/// A dead letter on the command line: the start of its message's id, or of its review's.
struct DeadLetterReference: ExpressibleByArgument, Sendable {
  let text: String

  init?(argument: String) {
    guard argument.utf8.count >= IDPrefix.digitCountMin else { return nil }
    text = argument.lowercased()
  }

  func names(_ letter: DeadLetter) -> Bool {
    letter.messageId?.lowercased().hasPrefix(text) ?? false || letter.reviewId?.lowercase.hasPrefix(text) ?? false
  }

  /// What tells the letters apart that are meant: those of one review, or those of one message that is no ticket. An id that is given whole is
  /// not the start of others.
  /// - Throws: `Failure` if no letter is meant, or letters of several.
  func choice(among letters: [DeadLetter]) throws(Failure) -> @Sendable (DeadLetter) -> Bool {
    let named = letters.filter { names($0) }
    let isWhole = named.contains { isWholeID(of: $0) }
    var subjects: [String] = []
    for letter in named where !isWhole || isWholeID(of: letter) {
      guard let subject = letter.subject, !subjects.contains(subject) else { continue }
      subjects.append(subject)
    }
    guard let subject = subjects.first else { throw unknown }
    guard subjects.count == 1 else {
      throw Failure(
        .failed,
        "nothing was deleted: \(DisplayText.safe(text)) is the start of several ids; give more digits. Among them:\n"
          + subjects.prefix(Self.candidateCountMax).map { "  \(DisplayText.safe($0))" }.joined(separator: "\n"))
    }
    return { letter in names(letter) && letter.subject == subject && (!isWhole || isWholeID(of: letter)) }
  }

  private static let candidateCountMax = 5

  private func isWholeID(of letter: DeadLetter) -> Bool {
    letter.messageId?.lowercased() == text || letter.reviewId?.lowercase == text
  }

  /// What was meant is not there.
  var unknown: Failure {
    Failure(
      .failed,
      "no dead letter's message or review has an id that begins with \(DisplayText.safe(text)), among the oldest "
        + "\(DeadLetter.lookMax); `baton dead list` shows them")
  }
}

extension DeadLetter {
  /// What it is about: its review, or itself.
  fileprivate var subject: String? { reviewId?.lowercase ?? messageId }
}

/// `baton dead show`.
struct DeadShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Shows dead letters whole; they stay where they are.",
    discussion: """
      EXAMPLES:
        baton dead show 0b6e6c1e
        baton dead show 0b6e6c1e --json | jq -r '.messages[].body'

      With --json, what `baton dead list --json` prints.
      """)

  @Argument(help: ArgumentHelp("The message's id or its review's, or its first digits, four or more.", valueName: "id"))
  var reference: DeadLetterReference

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession("baton dead show", common, [broker], requiring: [.amqpURL])
    let letters = try await session.withBroker { try await $0.deadLetters(limit: DeadLetter.lookMax) }
      .filter { reference.names($0) }
    guard !letters.isEmpty else { throw reference.unknown }
    guard !json else { return try Output.json(DeadLetterList(messages: letters.map { DeadLetterOutput(letter: $0) })) }
    for (index, letter) in letters.enumerated() {
      if index > 0 { try Output.line() }
      for (name, value) in [
        ("message", letter.messageId), ("review", letter.reviewId?.lowercase),
        ("attempt", letter.attempt.map { "\($0)" }), ("died", letter.diedAt.map { "\(Times.clock($0)) UTC" }),
        ("reason", letter.reason), ("body", letter.body),
      ] { try Output.line("\(name)\(String(repeating: " ", count: 9 - name.count))\(DisplayText.safe(value ?? "—"))") }
    }
  }
}

/// `baton dead delete`.
struct DeadDeleteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Deletes single dead letters; the others stay where they are.",
    discussion: """
      Those of one review, or of one message that is no ticket; digits with which several ids begin delete nothing. The reviews \
      themselves stay as they are, in Postgres.

      EXAMPLE:
        baton dead delete 0b6e6c1e
      """)

  @Argument(help: ArgumentHelp("The message's id or its review's, or its first digits, four or more.", valueName: "id"))
  var reference: DeadLetterReference

  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession("baton dead delete", common, [broker], requiring: [.amqpURL])
    let reference = reference
    let deleted = try await session.withBroker { connection in
      let isMeant = try reference.choice(among: try await connection.deadLetters(limit: DeadLetter.lookMax))
      return try await connection.deleteDeadLetters(limit: DeadLetter.lookMax, where: isMeant)
    }
    guard !deleted.isEmpty else { throw reference.unknown }
    for letter in deleted {
      try Output.line("\(DisplayText.safe(letter.reviewId?.lowercase ?? letter.messageId ?? "—"))  deleted")
    }
  }
}

/// `baton dead purge`.
struct DeadPurgeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "purge",
    abstract: "Deletes all dead letters; they cannot be restored.",
    discussion: """
      At a terminal it asks first, with their number.

      EXAMPLES:
        baton dead purge
        baton dead purge --yes
      """)

  @Flag(name: [.customLong("yes"), .customShort("y")], help: "Do not ask.")
  var isConfirmed = false

  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession("baton dead purge", common, [broker], requiring: [.amqpURL])
    let isConfirmed = isConfirmed || !Terminal.canAsk
    try await session.withBroker { connection in
      if !isConfirmed {
        let count = try await connection.deadCount()
        guard count > 0 else { return try Output.line("0 dead letters deleted") }
        try Output.write("Delete \(count) dead letters? They cannot be restored. [y/N] ", to: Output.standardError)
        guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else {
          throw Failure(.failed, "nothing was deleted")
        }
      }
      try Output.line("\(try await connection.purgeDeadLetters()) dead letters deleted")
    }
  }
}
