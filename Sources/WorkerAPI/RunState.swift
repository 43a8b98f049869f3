package import Reviews

/// Where a run stands at the worker. A status that this version does not know is kept: its run goes on, and the review's row stays as it is.
package enum RunState: Sendable, Hashable {
  /// Accepted, not begun: the worker is at its limit.
  case queued
  case running
  /// The agent has ended, its results are still being written.
  case buffering
  case completed
  case failed
  case cancelled
  case other(String)

  /// Whether the run has ended.
  package var isTerminal: Bool {
    switch self {
    case .queued, .running, .buffering, .other: false
    case .completed, .failed, .cancelled: true
    }
  }

  /// What this means for the review's row; if the status is not known, only that the worker has the run.
  package var reviewStatus: ReviewStatus {
    switch self {
    case .queued, .other: .queued
    case .running, .buffering: .running
    case .completed: .completed
    case .failed: .failed
    case .cancelled: .cancelled
    }
  }
}

extension RunState: RawRepresentable, Codable, CustomStringConvertible {
  package init(rawValue: String) {
    self =
      switch rawValue {
      case "queued": .queued
      case "running": .running
      case "buffering": .buffering
      case "completed": .completed
      case "failed": .failed
      case "cancelled": .cancelled
      default: .other(rawValue)
      }
  }

  package var rawValue: String {
    switch self {
    case .queued: "queued"
    case .running: "running"
    case .buffering: "buffering"
    case .completed: "completed"
    case .failed: "failed"
    case .cancelled: "cancelled"
    case .other(let word): word
    }
  }

  /// Refuses the empty string, which says nothing about a run.
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let word = try container.decode(String.self)
    guard !word.isEmpty else { throw DecodingError.dataCorruptedError(in: container, debugDescription: "empty status") }
    self.init(rawValue: word)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rawValue)
  }

  package var description: String { rawValue }
}
