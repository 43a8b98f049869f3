import AMQPClient
import ArgumentParser
import Foundation
import PostgresClient
import ReviewStore
import Reviews
import Settings
import Testing

@testable import baton

@Suite("Exit status")
struct FailureTests {
  static let failures: [(any Error & Sendable, EndStatus)] = [
    (SettingsError(faults: ["BATON_DATABASE_URL is missing"]), .settings),
    (Migrator.SchemaFault.missing(path: "public"), .failed),
    (PostgresError(.connectionFailed, "refused"), .unavailable),
    (PostgresError(.connectionLost, "gone"), .unavailable),
    (PostgresError(.server("57P03"), "the database system is starting up"), .unavailable),
    (PostgresError(.server("53300"), "too many clients"), .unavailable),
    (PostgresError(.server("42501"), "permission denied"), .failed),
    (PostgresError(.server("23514"), "check"), .failed),
    (AMQPError(operation: "connect", text: "refused", scope: .connection), .unavailable),
    (
      AMQPError(operation: "log in", code: 403, text: "ACCESS_REFUSED", scope: .connection, isPermanent: true),
      .unavailable
    ),
    (
      AMQPError(
        operation: "declare queue 'q'", code: 406, text: "inequivalent arg", scope: .channel, isPermanent: true),
      .settings
    ),
    (AMQPError(operation: "read the AMQP URL", text: "no host", scope: .configuration, isPermanent: true), .settings),
    (AMQPError(operation: "look at queue 'q'", code: 404, text: "no queue", scope: .channel), .failed),
    (OutputFault.closed, .outputClosed), (OutputFault.failed(ENOSPC), .failed), (CancellationError(), .failed),
  ]

  @Test("an error has the exit status that operators rely on", arguments: failures.indices)
  func status(_ index: Int) throws {
    let (error, status) = Self.failures[index]
    #expect(Failure(error)?.status == status, "\(error)")
  }

  @Test("messages say what to do")
  func advice() throws {
    let differs = AMQPError(
      operation: "declare queue 'q'", code: 406, text: "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit'",
      scope: .channel, isPermanent: true)
    #expect(Failure(differs).description.contains("x-delivery-limit"))
    #expect(Failure(differs).description.contains("BATON_QUEUE"))
    let refused = Failure(PostgresError(.connectionFailed, "refused"), at: "postgresql://baton@db:5432/baton")
    #expect(refused.description.contains("postgresql://baton@db:5432/baton"))
    #expect(refused.description.contains("BATON_DATABASE_URL"))
    #expect(try #require(Failure(Migrator.SchemaFault.missing(path: "public"))).description.contains("baton migrate"))
  }

  @Test("wrong usage is left to ArgumentParser, which ends with 64")
  func usage() {
    let error = ValidationError("no")
    #expect(Failure(error) == nil)
    #expect(Baton.exitCode(for: error).rawValue == 64)
  }
}

@Suite("Flags")
struct FlagTests {
  @Test("a review by flags: every fault at once, by the flags' names")
  func faults() throws {
    let flags = try ReviewFlags.parse(["--platform", "github", "--number", "0", "--sha", "x y"])
    let error = #expect(throws: ValidationError.self) { try flags.review() }
    let message = try #require(error).message
    for flag in ["--owner", "--repo", "--number", "--title", "--author", "--base", "--head", "--sha"] {
      #expect(message.contains(flag + ":"), "\(flag)")
    }
    #expect(!message.contains("prNumber") && !message.contains("headSha"))
  }

  @Test("a review by flags has the platform's address unless another is given")
  func url() throws {
    let common = ["--owner", "org:acme", "--number", "4", "--title", "", "--author", "a", "--base", "b", "--head", "h"]
    let hub = try ReviewFlags.parse(common + ["--platform", "github", "--repo", "a/b", "--sha", "ABCDEF0"]).review()
    #expect(hub.prUrl == "https://github.com/a/b/pull/4")
    #expect(hub.headSha == "abcdef0")
    let lab = try ReviewFlags.parse(common + ["--platform", "gitlab", "--repo", "a/b/c", "--sha", "abcdef0"]).review()
    #expect(lab.prUrl == "https://gitlab.com/a/b/c/-/merge_requests/4")
    let given = try ReviewFlags.parse(
      common + [
        "--platform", "gitlab", "--repo", "a/b", "--sha", "abcdef0", "--url", "https://x/1", "--priority", "-3",
      ])
    #expect(try given.review().prUrl == "https://x/1")
    #expect(try given.review().priority == -3)
  }

  @Test("flags win over what the environment says, and faults come in one message")
  func settings() throws {
    let common = try CommonOptions.parse(["--log-level", "debug"])
    let database = try DatabaseOptions.parse(["--database-url", "postgres://u@h/d", "--database-pool", "3"])
    let settings = try common.load([database], requiring: [.databaseURL])
    #expect(settings.databasePool == 3)
    #expect(settings.logLevel == .debug)
    let wrong = try DatabaseOptions.parse(["--database-pool", "x"])
    let loud = try CommonOptions.parse(["--log-level", "loud"])
    let error = #expect(throws: SettingsError.self) { try loud.load([wrong], requiring: []) }
    #expect(error?.faults.count == 2)
  }
}
