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

  /// What RabbitMQ 3.10 answers, with what Baton makes of it.
  static let refusals: [(code: Int, text: String, scope: AMQPError.Scope, status: EndStatus, advice: String)] = [
    (
      406,
      "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received '6' but current is '5'",
      .channel, .settings, "declared otherwise"
    ),
    (
      406,
      "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'baton' in vhost '/': received 'direct' but current is "
        + "'fanout'", .channel, .settings, "declared otherwise"
    ),
    (
      406,
      "PRECONDITION_FAILED - invalid arg 'x-delivery-limit' for queue 'q' in vhost '/' of queue type rabbit_classic_queue",
      .channel, .settings, "declared otherwise"
    ),
    (
      406, "PRECONDITION_FAILED - cannot declare queue 'q' in vhost '/': queue limit in vhost '/' (10) is reached",
      .channel,
      .unavailable, "set_vhost_limits"
    ),
    (
      403, "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'u'", .channel, .settings,
      "set_permissions"
    ),
    (
      403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN", .connection, .unavailable,
      "password"
    ),
    (530, "NOT_ALLOWED - vhost nope not found", .connection, .settings, "add_vhost"),
    (530, "NOT_ALLOWED - access to vhost '/' refused for user 'u'", .connection, .settings, "set_permissions"),
    (
      530, "NOT_ALLOWED - access to vhost '/' refused for user 'u': connection limit (10) is reached", .connection,
      .unavailable, "set_vhost_limits"
    ),
    (
      530, "NOT_ALLOWED - connection refused for user 'u': user connection limit (1) is reached", .connection,
      .unavailable,
      "set_user_limits"
    ),
    (
      530, "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (1)", .connection,
      .unavailable,
      "channel_max"
    ),
    (506, "RESOURCE_ERROR - out of file descriptors", .connection, .unavailable, "log"),
    (541, "INTERNAL_ERROR", .connection, .unavailable, "log"),
  ]

  @Test("a refusal's advice follows from the broker's code and its text", arguments: refusals.indices)
  func refusal(_ index: Int) {
    let (code, text, scope, status, advice) = Self.refusals[index]
    let failure = Failure(AMQPError(operation: "declare queue 'q'", code: code, text: text, scope: scope))
    #expect(failure.status == status, "\(failure)")
    #expect(failure.description.contains(text) && failure.description.contains(advice), "\(failure)")
    #expect(status == .settings || !failure.description.contains("Remove it at the broker"), "\(failure)")
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
