internal import ArgumentParser
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Settings

// Arguments of the domain's types: what is malformed is wrong usage, with the form that is expected.

extension Owner: ExpressibleByArgument {
  /// Parses `org:acme` or `user:42`.
  init?(argument: String) { self.init(argument) }
}

extension Platform: ExpressibleByArgument {}

extension ReviewStatus: ExpressibleByArgument {}
extension ReviewSort: ExpressibleByArgument {}

/// A span of time on the command line: `250ms`, `10s`, `5m`, `1h`, `90d`; a bare number is seconds.
struct TimeSpan: ExpressibleByArgument, Sendable, CustomStringConvertible {
  var duration: Duration
  var description: String

  init?(argument: String) {
    guard let duration = Settings.duration(argument), duration > .zero else { return nil }
    self.duration = duration
    description = argument
  }

  init(_ text: StaticString, _ duration: Duration) {
    self.duration = duration
    description = "\(text)"
  }

  var defaultValueDescription: String { description }
}

/// Where a page of a list starts, as the page before has printed it.
struct PageCursor: ExpressibleByArgument, Sendable {
  var cursor: ReviewCursor

  init?(argument: String) {
    guard let cursor = ReviewCursor(argument) else { return nil }
    self.cursor = cursor
  }
}

/// An owner's limit: a number, or `none` for BATON_OWNER_LIMIT.
struct LimitArgument: ExpressibleByArgument, Sendable {
  var limit: Int?

  init?(argument: String) {
    guard argument != "none" else {
      limit = nil
      return
    }
    guard let limit = Int(argument), (0...1_000_000).contains(limit) else { return nil }
    self.limit = limit
  }
}
