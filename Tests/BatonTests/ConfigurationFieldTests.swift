import ArgumentParser
import Reviews
import Testing

@testable import ReviewStore
@testable import baton

@Suite("Fields of a configuration")
struct ConfigurationFieldTests {
  private func page(_ json: String) throws -> ConfigurationPage {
    try ConfigurationPage(
      owner: Owner(type: .org, id: "acme"), platform: .github, stored: StoredConfiguration(json: json, isEnabled: true))
  }

  @Test("every field that is shown is one that the check knows")
  func known() throws {
    for field in ConfigurationField.all {
      // An object is right for none of them.
      let faults = #expect(throws: ReviewConfigurationFaults.self) {
        try ReviewConfiguration(json: #"{"\#(field.name)":{}}"#)
      }
      #expect(faults?.faults.first?.hasPrefix("\(field.name):") == true, "\(field.name)")
    }
  }

  @Test("every field that the check reads, and that a page describes, is shown, with what holds without it")
  func shown() throws {
    let sources = try ["ReviewConfiguration", "PullRequestFilter"].map { try Page.file("Sources/Reviews/\($0).swift") }
      .joined()
    var read = Set(sources.matches(of: /(?:choice|text|list|flag)\("(\w+)"/).map { String($0.1) })
    read.formUnion(sources.matches(of: /fields\["(\w+)"\]/).map { String($0.1) })
    let section = try Page("Platforms.md").text.split(separator: "\n## ").first { $0.hasPrefix("Which pull requests") }
    let described = try #require(section).matches(of: #/\n\| `([a-z_]+)` \| /#).map { String($0.1) }
    #expect(read.count >= 18 && described.count >= 8)
    let shown = Set(ConfigurationField.all.map(\.name))
    #expect(shown.count == ConfigurationField.all.count)
    #expect(read.union(described).subtracting(shown) == [])
    #expect(try page("{}").table.lines(width: nil).filter { $0.hasSuffix("(default)") }.count == shown.count)
  }

  @Test("a page shows what holds: given, by default, and not known")
  func table() throws {
    let lines = try page(#"{"review_style":"strict","focus_areas":["bugs","style"],"later":{"a":1},"model_slug":null}"#)
      .table.lines(width: nil)
    #expect(lines.contains { $0.hasPrefix("review_style") && $0.hasSuffix("strict") })
    #expect(lines.contains { $0.hasPrefix("focus_areas") && $0.hasSuffix("bugs, style") })
    #expect(lines.contains { $0.hasPrefix("model_slug") && $0.hasSuffix("(default)") })
    #expect(lines.contains { $0.hasPrefix("later") && $0.contains(#"{"a":1} (not known)"#) })
  }

  @Test("each field has a flag, which makes what the check takes")
  func flags() throws {
    let texts = [
      "max_review_time_minutes": "20", "skip_bots": "true", "review_drafts": "false", "review_style": "strict",
      "focus_areas": "bugs", "repository_selection_mode": "all", "gate_threshold": "all",
    ]
    for field in ConfigurationField.all {
      let text = texts[field.name] ?? "7"
      let arguments = ["config", "set", "org:acme", "--platform", "github", field.flag, text]
      let command = try #require(try Baton.parseAsRoot(arguments) as? ConfigSetCommand)
      let change = try command.flags.change(replacement: nil, isEnabled: nil)
      #expect(change.fields.hasPrefix("{\"\(field.name)\":"), "\(change.fields)")
    }
  }

  @Test("an invalid configuration is shown with its faults")
  func faults() throws {
    #expect(try page(#"{"review_style":"kind","gate_threshold":7}"#).faults.count == 2)
    #expect(try page("[1]").faults.count == 1)
    #expect(try page("{}").faults.isEmpty)
  }
}
