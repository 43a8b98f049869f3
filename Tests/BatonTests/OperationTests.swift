import ArgumentParser
import Primitives
import ReviewStore
import Reviews
import Testing

@testable import baton

@Suite("Operations on many reviews")
struct OperationTests {
  @Test(
    "ids and filters exclude each other, a status has to allow the operation, and without a terminal a filter has to be confirmed",
    arguments: [
      ["retry"], ["cancel"], ["retry", "abcd1234", "--owner", "org:acme"], ["retry", "--status", "completed", "--yes"],
      ["retry", "--status", "pending", "--yes"], ["cancel", "--status", "failed", "--yes"], ["retry", "abc"],
      ["retry", "--since", "soon", "--yes"], ["retry", "abcd1234", "--count", "2"],
      ["release"], ["release", "--status", "queued", "--yes"],
      ["cancel", "--repo", "acme/shop", "--count", "-1"], ["show", "xyzw"],
      ["owner", "set", "org:acme", "--limit", "0"],
    ])
  func usage(arguments: [String]) {
    let error = #expect(throws: (any Error).self) { try Baton.parseAsRoot(arguments) }
    if let error { #expect(Baton.exitCode(for: error).rawValue == EndStatus.usage.rawValue, "\(error)") }
  }

  @Test("a filter may have all its parts at once")
  func filter() throws {
    let command = try #require(
      try Baton.parseAsRoot([
        "retry", "--status", "failed", "--status", "cancelled", "--error-code", "worker_lost", "--owner", "org:acme",
        "--repo",
        "acme/shop", "--since", "2h", "--until", "2026-11-28T08:00:00Z", "--dry-run",
      ]) as? RetryCommand)
    let now = Timestamp(microseconds: 7_200_000_000)
    let filter = command.reviews.filter.filter(now: now)
    #expect(command.reviews.filter.statuses == [.failed, .cancelled])
    #expect(filter.errorCode == "worker_lost" && filter.repository == "acme/shop")
    #expect(filter.owner == Owner(type: .org, id: "acme"))
    #expect(filter.since == Timestamp(microseconds: 0) && filter.until == Timestamp("2026-11-28T08:00:00Z"))
    #expect(command.reviews.confirming.dryRun)
  }

  @Test("the refusal of an owner's limit of 0 names the command that pauses")
  func noLimit() throws {
    let error = #expect(throws: (any Error).self) {
      try Baton.parseAsRoot(["owner", "set", "org:acme", "--limit", "0"])
    }
    #expect(Baton.fullMessage(for: try #require(error)).contains("baton owner pause"))
  }
}
