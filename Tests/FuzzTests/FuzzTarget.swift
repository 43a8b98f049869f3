/// What comes from outside, each with the code that reads it. A target throws ``BrokenPromise`` or traps if that code is wrong; whatever is
/// refused, is refused in the code's own way.
enum FuzzTarget: String, CaseIterable, Sendable {
  /// Bytes of a broker.
  case amqp
  /// Answers of GitHub, GitLab and workers.
  case answers
  /// Bodies and queries of the API and of the worker contract.
  case api
  /// What workers and agents report.
  case callbacks
  /// Heads of HTTP requests.
  case heads
  /// Files and pipes of `baton submit`.
  case lines
  /// Binary values of Postgres.
  case postgres
  /// Titles, descriptions and branches, on their way into a prompt.
  case prompts
  /// Environments and configuration files.
  case settings
  /// Times, addresses, patterns, words of a shell, log lines.
  case texts
  /// Webhooks, from the bytes to the decision.
  case webhooks

  func run(_ bytes: [UInt8]) throws {
    switch self {
    case .amqp: try fuzzBrokerBytes(bytes)
    case .answers: try fuzzAnswer(bytes)
    case .api: try fuzzAPI(bytes)
    case .callbacks: try fuzzReport(bytes)
    case .heads: try fuzzHead(bytes)
    case .lines: try fuzzLines(bytes)
    case .postgres: try fuzzPostgresValue(bytes)
    case .prompts: try fuzzPrompt(bytes)
    case .settings: try fuzzSettings(bytes)
    case .texts: try fuzzText(bytes)
    case .webhooks: try fuzzWebhook(bytes)
    }
  }
}

/// Code from this side of the wire has done something that it never does.
struct BrokenPromise: Error, CustomStringConvertible {
  let description: String
}

func promise(_ condition: Bool, _ text: @autoclosure () -> String) throws {
  if !condition { throw BrokenPromise(description: text()) }
}
