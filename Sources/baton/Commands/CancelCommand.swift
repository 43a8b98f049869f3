internal import ArgumentParser
internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton cancel`.
struct CancelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cancel",
    abstract: "Cancels reviews that have not ended.",
    discussion: """
      The row is changed at once; a worker that runs the review is notified until it confirms.

      EXAMPLES:
        baton cancel 0b6e6c1e-6f0e-4c39-9d0a-3c1f5a1f7a11
        baton list --owner org:acme --status pending --json | jq -r '.reviews[].id' | xargs baton cancel
      """)

  @Argument(help: ArgumentHelp("Reviews to cancel.", valueName: "id"))
  var ids: [ReviewID]

  @Option(help: ArgumentHelp("Why, for those who look at the review later.", valueName: "text"))
  var reason: String = "cancelled by a user"

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try Session("baton cancel", common, [database], requiring: [.databaseURL])
    try await session.withStore { store in
      try await Operation.each(ids.map(\.uuid)) { id in
        switch try await store.cancel(id, reason: reason) {
        case .done: .done("cancelled")
        case .conflict(let status): .refused("already \(status.rawValue), so there is nothing to cancel")
        case .unknownReview: .refused("no such review")
        }
      }
    }
  }
}

/// `baton retry`.
struct RetryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retry",
    abstract: "Starts failed or cancelled reviews again, as new attempts.",
    discussion: """
      EXAMPLES:
        baton retry 0b6e6c1e-6f0e-4c39-9d0a-3c1f5a1f7a11
        baton list --status failed --json | jq -r '.reviews[].id' | xargs baton retry
      """)

  @Argument(help: ArgumentHelp("Reviews to start again.", valueName: "id"))
  var ids: [ReviewID]

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try Session("baton retry", common, [database], requiring: [.databaseURL])
    try await session.withStore { store in
      try await Operation.each(ids.map(\.uuid)) { id in
        switch try await store.retry(id) {
        case .done(_, let attempt): .done("pending, attempt \(attempt)")
        case .conflict(.completed): .refused("completed: a review that succeeded is not started again")
        case .conflict(let status): .refused("still \(status.rawValue); `baton cancel` it first")
        case .unknownReview: .refused("no such review")
        }
      }
    }
  }
}

/// One operation on each of several reviews.
enum Operation {
  enum Answer {
    case done(String)
    case refused(String)
  }

  /// Applies it to all, prints a line each, and fails at the end if one was refused.
  static func each(_ ids: [UUID], _ operation: (UUID) async throws -> Answer) async throws {
    var isRefused = false
    for id in ids {
      switch try await operation(id) {
      case .done(let text): try Output.line("\(id.lowercase)  \(text)")
      case .refused(let text):
        isRefused = true
        Output.note("Error: \(id.lowercase): \(text)")
      }
    }
    if isRefused { throw Failure.reported }
  }
}
