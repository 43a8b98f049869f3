import ArgumentParser
import Foundation
import Testing

@testable import baton

@Suite("Schemas of what commands print")
struct OutputSchemaTests {
  private struct File: Decodable {
    struct Definition: Decodable {
      var description: String?
    }

    var definitions: [String: Definition]

    private enum CodingKeys: String, CodingKey { case definitions = "$defs" }
  }

  /// The descriptions of all definitions: each names its commands.
  private static var descriptions: [String] {
    get throws {
      let text = try Page.file("deploy/schemas/commands.schema.json")
      return try JSONDecoder().decode(File.self, from: Data(text.utf8)).definitions.values.compactMap(\.description)
    }
  }

  @Test("each command that prints JSON, with the flag or always, has a definition that names it")
  func complete() throws {
    let descriptions = try Self.descriptions
    var count = 0
    for (path, command) in HelpTests.commands {
      let help = Baton.helpMessage(for: command, columns: 200)
      let hasFlag = help.contains("\n  --json ")
      guard hasFlag || help.contains("JSON line") else { continue }
      count += 1
      let name = hasFlag ? "`\(path) --json`" : "`\(path)"
      #expect(descriptions.contains { $0.contains(name) }, "\(path)")
    }
    #expect(count >= 19)
  }

  @Test("each definition of a command names one that there is")
  func known() throws {
    let paths = Set(HelpTests.commands.map(\.path))
    for text in try Self.descriptions {
      for found in text.matches(of: /`(baton[a-z -]*)`/) {
        let words = found.1.split(separator: " ").filter { !$0.hasPrefix("--") }
        #expect(paths.contains(words.joined(separator: " ")), "\(found.1)")
      }
    }
  }
}
