package import Primitives

/// Something that holds reviews back, in plain text: what it is, since when, and what to do.
package struct HealthFinding: Sendable, Equatable, Codable {
  /// How bad it is.
  package enum Grade: String, Sendable, Codable, Comparable {
    /// Nothing continues until it is over, or an operator acts.
    case bad
    /// Worth a look.
    case warning

    package static func < (left: Grade, right: Grade) -> Bool { left == .bad && right == .warning }
  }

  package var grade: Grade
  package var title: String
  package var since: Timestamp?
  /// The causes' own words.
  package var reason: String?
  /// With commands in backticks.
  package var advice: String

  /// Every key is always present.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(grade, forKey: .grade)
    try container.encode(title, forKey: .title)
    try container.encode(since, forKey: .since)
    try container.encode(reason, forKey: .reason)
    try container.encode(advice, forKey: .advice)
  }
}

extension HealthFinding {
  /// Of the dead letters that the broker counts; nil if there is none.
  package static func deadLetters(_ count: Int) -> Self? {
    guard count > 0 else { return nil }
    return Self(
      grade: .warning, title: count == 1 ? "There is a dead letter" : "There are \(count) dead letters",
      advice:
        "Messages that are no tickets, or that were delivered too often. `baton dead list` shows which and why; `baton dead purge` removes them."
    )
  }

  /// Of a broker that does not answer whoever asks.
  static let brokerAway = Self(grade: .bad, title: "The broker cannot be reached", advice: brokerAwayAdvice)

  static let brokerAwayAdvice =
    "Reviews wait in Postgres, and nothing is lost. Check that RabbitMQ runs and that BATON_AMQP_URL is right."
}

extension [HealthFinding] {
  /// The worst first, and of one grade in the order in which they stand.
  var worstFirst: [HealthFinding] {
    enumerated().sorted { ($0.element.grade, $0.offset) < ($1.element.grade, $1.offset) }.map(\.element)
  }
}
