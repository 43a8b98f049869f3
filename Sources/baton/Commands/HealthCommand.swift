internal import ArgumentParser
internal import BatonServer
internal import Primitives
internal import Resilience
internal import ReviewQueue
internal import ReviewStore
internal import Settings

/// `baton health`.
struct HealthCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "health",
    abstract: "Checks that Postgres and the broker can be reached, and says what holds reviews back.",
    discussion: """
      For probes and images: it costs each server a few milliseconds, however long the history is. The exit status is 0 if both can be \
      reached, 69 if not; with --strict it is 1 if reviews are stuck, whatever the cause. Without BATON_AMQP_URL the broker is not asked.

      EXAMPLES:
        baton health
        baton health --strict --timeout 2s
        baton health --json | jq .problems

      With --json, one line: {"postgres", "broker", "milliseconds", "problems": [{"grade", "title", "since", "reason", "advice"}]}; \
      the first two are "ok", "not set" or what is wrong.
      """)

  @Flag(help: "Exit with 1 if reviews are stuck.")
  var strict = false

  @Option(help: ArgumentHelp("Give up after this.", valueName: "time"))
  var timeout = TimeSpan("5s", .seconds(5))

  @Flag(help: "Print JSON, one line.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession("baton health", common, [database, broker], requiring: [.databaseURL])
    let start = ContinuousClock.now
    let limit = timeout
    async let postgres = Self.timed(limit) { try await Self.findings(session) }
    async let queue = Self.timed(limit) { try await Self.deadLetters(session) }
    var output = HealthOutput()
    let answers = (await postgres, await queue)
    output.milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
    output.problems = output.value(of: answers.0, \.postgres) ?? []
    if let deadLetters = output.value(of: answers.1, \.broker) {
      if let deadLetters {
        output.problems += [HealthFinding.deadLetters(deadLetters)].compactMap { $0 }
      } else {
        output.broker = "not set"
      }
    }
    if json { try Output.json(output) } else { try Output.lines(output.lines(Terminal.output)) }
    if let failure = output.failure { throw failure }
    if strict, output.problems.contains(where: { $0.grade == .bad }) {
      throw Failure(.failed, "reviews are stuck")
    }
  }

  private static func findings(_ session: CommandSession) async throws -> [HealthFinding] {
    // A second connection takes longer than the few statements do one after another.
    try await session.withStore(connections: 1) { store in
      let figures = LoadFigures(
        store: store, heartbeatTimeout: session.settings.heartbeatTimeout, ownerLimit: session.settings.ownerLimit,
        queueStats: { nil })
      return try await figures.health().findings
    }
  }

  /// - Returns: how many dead letters there are, as far as the account may know; nil if no broker is set.
  private static func deadLetters(_ session: CommandSession) async throws -> Int? {
    guard session.settings.given.contains(.amqpURL) else { return nil }
    return try await session.withBroker { broker in
      _ = try await broker.status()
      return (try? await broker.deadCount()) ?? 0
    }
  }

  /// The body's value, or a failure if it has none in time. A server that hangs does not hold up the answer: the program ends, and with it
  /// what still waits for that server.
  private static func timed<Value: Sendable>(
    _ timeout: TimeSpan, _ body: @escaping @Sendable () async throws -> Value
  ) async -> Result<Value, Failure> {
    await firstAnswer(
      within: timeout.duration, otherwise: .failure(Failure(.unavailable, "no answer within \(timeout)"))
    ) {
      do {
        return .success(try await body())
      } catch {
        return .failure(Failure(error) ?? Failure(.failed, "\(error)"))
      }
    }
  }
}

/// What `baton health` prints.
struct HealthOutput: Encodable {
  var postgres = "ok"
  var broker = "ok"
  var milliseconds = 0
  var problems: [HealthFinding] = []
  /// The first that counts.
  private(set) var failure: Failure?

  private enum CodingKeys: String, CodingKey { case postgres, broker, milliseconds, problems }

  /// The value; nil if there is none, which is noted.
  mutating func value<Value>(
    of result: Result<Value, Failure>, _ place: WritableKeyPath<HealthOutput, String>
  ) -> Value? {
    switch result {
    case .success(let value): return value
    case .failure(let failure):
      self[keyPath: place] = String(failure.description.prefix { $0 != "\n" })
      // What is wrong with the settings, or the schema, is no outage.
      if self.failure == nil || failure.status == .settings { self.failure = failure }
      return nil
    }
  }

  func lines(_ terminal: Terminal) -> [String] {
    func line(_ name: String, _ state: String) -> String {
      let style: Style = state == "ok" ? .green : state == "not set" ? .dim : .red
      return "\(name)  \(style.applied(to: DisplayText.safe(state), terminal.usesColor))"
    }
    let now = Timestamp.processNow
    return [line("postgres", postgres), line("broker  ", broker)]
      + problems.flatMap { $0.lines(width: terminal.width, usesColor: terminal.usesColor, now: now) }
  }
}
