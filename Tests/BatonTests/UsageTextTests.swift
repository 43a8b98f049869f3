import ArgumentParser
import Testing

@testable import baton

@Suite("Usage")
struct UsageTextTests {
  @Test("no line of a command's help is wider than a terminal of 80 columns", arguments: HelpTests.commands.map(\.path))
  func width(path: String) throws {
    let command = try #require(HelpTests.commands.first { $0.path == path }?.command)
    let help = UsageText.help(Baton.helpMessage(for: command, columns: 80))
    // Addresses, examples and what is quoted as it is printed may be longer; lines of usage never.
    let usage = help.split(separator: "\n").drop { !$0.hasPrefix("USAGE") }.prefix { !$0.isEmpty && !$0.hasSuffix(":") }
    #expect(!usage.isEmpty)
    for line in usage { #expect(line.count <= 80, "\(line)") }
  }

  @Test(
    "a command's own options stand before the settings",
    arguments: [["reap"], ["up"], ["list"], ["produce"], ["health"]])
  func order(arguments: [String]) throws {
    let command = try #require(HelpTests.commands.first { $0.path == "baton \(arguments[0])" }?.command)
    let lines = UsageText.help(Baton.helpMessage(for: command, columns: 80)).split(separator: "\n")
    let options = try #require(lines.firstIndex(of: "OPTIONS:"))
    let settings = try #require(lines.firstIndex(of: "SETTINGS:"))
    #expect(options < settings && settings - options < 40)
  }

  @Test(
    "a mistyped command is answered with the one that was meant, also if its help is asked for",
    arguments: [
      ("lst", "lst", "baton list"), ("lsit --json", "lsit", "baton list"),
      ("owner pasue org:acme", "owner pasue", "baton owner pause"),
      ("consum --help", "consum", "baton consume"), ("--help consum", "consum", "baton consume"),
      ("help consum", "consum", "baton consume"), ("consum -h", "consum", "baton consume"),
      ("consum --version", "consum", "baton consume"), ("owner pasue --help", "owner pasue", "baton owner pause"),
      ("owner --help pasue", "owner pasue", "baton owner pause"),
      ("help owner pasue", "owner pasue", "baton owner pause"),
    ])
  func suggestions(line: String, unknown: String, meant: String) throws {
    let text = try #require(UsageText.unknownCommand(line.split(separator: " ").map(String.init)))
    #expect(text.hasPrefix("Error: there is no command `baton \(unknown)`\nDid you mean `\(meant)`?\n"), "\(text)")
  }

  @Test("what is like no command is refused without a guess, and what is one is left alone")
  func noSuggestion() throws {
    for line in ["frobnicate", "review sho --help"] {
      let text = try #require(UsageText.unknownCommand(line.split(separator: " ").map(String.init)))
      #expect(!text.contains("Did you mean") && text.contains("See `baton --help`"), "\(text)")
    }
    for line in ["list x", "--json", "--help", "help", "help consume", "consume --help", "owner help pause", ""] {
      #expect(UsageText.unknownCommand(line.split(separator: " ").map(String.init)) == nil, "\(line)")
    }
  }

  @Test("an error of usage is the error, and where to read more")
  func errors() throws {
    let error = #expect(throws: (any Error).self) { try Baton.parseAsRoot(["consume", "--prefetc", "3"]) }
    let text = UsageText.error(Baton.fullMessage(for: try #require(error)))
    #expect(text.hasPrefix("Error: ") && text.contains("baton consume --help"))
    for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
  }
}
