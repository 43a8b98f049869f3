import ArgumentParser
import ReviewStore
import Testing

@testable import baton

@Suite("Help")
struct HelpTests {
  /// Every command of the program with the words that call it.
  static let commands = all(Baton.self, ["baton"])

  private static func all(
    _ command: any ParsableCommand.Type, _ path: [String]
  ) -> [(path: String, command: any ParsableCommand.Type)] {
    [(path.joined(separator: " "), command)]
      + command.configuration.subcommands.flatMap { all($0, path + [$0._commandName]) }
  }

  @Test("every command's help has an abstract and an example", arguments: commands.map(\.path))
  func help(path: String) throws {
    let command = try #require(Self.commands.first { $0.path == path }?.command)
    #expect(!command.configuration.abstract.isEmpty, "\(path)")
    let help = Baton.helpMessage(for: command, columns: 100)
    #expect(help.contains("EXAMPLE"), "\(path)")
    // An example shows how this very command is called.
    let examples = help.components(after: "EXAMPLE")
    #expect(examples.contains(path), "\(path)")
  }

  @Test("every command of the contract is there")
  func names() {
    let expected = [
      "baton migrate", "baton produce", "baton consume", "baton reap", "baton serve", "baton worker", "baton up",
      "baton submit", "baton list", "baton show", "baton cancel", "baton retry", "baton release", "baton health",
      "baton queue",
      "baton dead list",
      "baton dead purge", "baton owner set", "baton owner pause", "baton owner resume", "baton owner list",
      "baton integration add", "baton integration list", "baton integration revoke", "baton config set",
      "baton config show", "baton prune",
    ]
    #expect(Set(expected).subtracting(Self.commands.map(\.path)).isEmpty)
  }

  @Test(
    "wrong usage is refused before anything is done",
    arguments: [
      ["submit"], ["submit", "--file", "x", "--sandbox", "3"], ["submit", "--sandbox", "0"],
      ["submit", "--file", "x", "--timeout", "5s"], ["submit", "--owner", "acme"], ["cancel"], ["cancel", "no-uuid"],
      ["show", "42"], ["list", "--status", "gone"], ["list", "--limit", "0"], ["list", "--cursor", "x"],
      ["owner", "set", "org:acme"], ["owner", "set", "org:acme", "--limit", "-1"], ["owner", "pause", "acme"],
      ["queue", "--watch", "soon"], ["nothing"], ["prune"], ["prune", "--older-than", "90"],
      ["prune", "--older-than", "0d"], ["prune", "--older-than", "9999d"],
      ["prune", "--older-than", "90d", "--interval", "59s"], ["config", "set", "org:acme"],
      ["config", "set", "org:acme", "--platform", "github"], ["config", "show", "acme", "--platform", "github"],
      ["config", "set", "org:acme", "--platform", "svn", "--enable"],
      ["config", "set", "org:acme", "--platform", "github", "--enable", "--disable"],
      ["config", "set", "org:acme", "--platform", "github", "--file", "-", "--custom-instructions-file", "-"],
      ["integration", "add", "org:acme", "--platform", "github"], ["integration", "revoke", "42"],
      ["integration", "add", "org:acme", "--platform", "github", "--installation-id", "0"],
      ["integration", "add", "org:acme", "--platform", "gitlab"],
      ["integration", "add", "org:acme", "--platform", "gitlab", "--token-file", "-", "--webhook-secret-file", "-"],
      ["integration", "add", "org:acme", "--platform", "gitlab", "--token-file", "t", "--installation-id", "1"],
    ])
  func usage(arguments: [String]) {
    let error = #expect(throws: (any Error).self) { try Baton.parseAsRoot(arguments) }
    guard let error else { return }
    #expect(Failure(error) == nil)
    #expect(Baton.exitCode(for: error).rawValue == EndStatus.usage.rawValue)
  }

  @Test("a wrong field is named by its flag, with all others that are wrong")
  func configurationFaults() throws {
    let error = #expect(throws: (any Error).self) {
      try Baton.parseAsRoot([
        "config", "set", "org:acme", "--platform", "github", "--review-style", "kind", "--focus-areas", "security,fun",
        "--max-review-time-minutes", "99", "--gate-threshold", "low", "--review-drafts", "sometimes",
      ])
    }
    let message = Baton.message(for: try #require(error))
    for flag in ["--review-style", "--focus-areas", "--max-review-time-minutes", "--gate-threshold", "--review-drafts"]
    {
      #expect(message.contains("\(flag): expected"), "\(message)")
    }
  }

  @Test("flags of a configuration become its fields, and an empty text takes a field away")
  func configurationFlags() throws {
    let arguments = [
      "config", "set", "org:acme", "--platform", "github", "--focus-areas", "security, bugs",
      "--max-review-time-minutes", "20", "--selected-repository-ids", "7,eight", "--custom-instructions", "-x",
      "--agent-version", "", "--skip-bots", "true", "--skip-authors", "dependabot*, 7", "--skip-paths", "",
    ]
    let command = try #require(try Baton.parseAsRoot(arguments) as? ConfigSetCommand)
    let change = try command.flags.change(replacement: nil, isEnabled: command.enabling.map { $0 == .enable })
    #expect(
      change.fields == #"{"custom_instructions":"-x","focus_areas":["security","bugs"],"max_review_time_minutes":20,"#
        + #""selected_repository_ids":[7,"eight"],"skip_authors":["dependabot*","7"],"skip_bots":true}"#)
    #expect(change.removed == ["agent_version", "skip_paths"] && change.isEnabled == nil && change.replacement == nil)
  }

  @Test("--watch stands alone or with an interval")
  func watch() throws {
    let alone = try #require(try Baton.parseAsRoot(["queue", "--watch"]) as? QueueCommand)
    #expect(alone.watch?.duration == .seconds(2))
    let given = try #require(try Baton.parseAsRoot(["queue", "--watch", "500ms", "--json"]) as? QueueCommand)
    #expect(given.watch?.duration == .milliseconds(500))
    let without = try #require(try Baton.parseAsRoot(["queue"]) as? QueueCommand)
    #expect(without.watch == nil)
  }
}

extension String {
  /// What follows the first appearance of a word; empty if there is none.
  fileprivate func components(after word: String) -> Substring {
    firstRange(of: word).map { self[$0.upperBound...] } ?? ""
  }
}
