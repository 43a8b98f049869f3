import ArgumentParser
import Foundation
import PostgresClient
import ReviewStore
import Reviews
import Settings
import Spans
import Telemetry
import Testing

@testable import baton

@Suite("Reference pages")
struct ReferencePagesTests {
  @Test("the tables of settings and metrics are those of the code")
  func tables() throws {
    for (name, table) in [("Settings.md", Settings.markdownTable), ("Metrics.md", BatonMetrics.markdownTable)] {
      let table = table.trimmingCharacters(in: .newlines)
      let page = try Page(name)
      let lines = Set(page.lines.map(String.init))
      let missing = table.components(separatedBy: "\n").filter { !lines.contains($0) }
      #expect(page.text.contains(table), "\(name) should have:\n\(missing.joined(separator: "\n"))")
    }
  }

  @Test("the table of spans is that of the code")
  func spans() throws {
    #expect(try Page("Traces.md").text.contains(SpanName.markdownTable.trimmingCharacters(in: .newlines)))
  }

  @Test("every error code is there, with what to do", arguments: ErrorCode.allCases)
  func errorCodes(code: ErrorCode) throws {
    #expect(try Page("ReviewLifecycle.md").text.contains("| `\(code.rawValue)` | \(code.advice) |"))
  }

  @Test("the table of commands is that of the program")
  func commands() throws {
    let rows = HelpTests.commands.filter { $0.command.configuration.subcommands.isEmpty }
      .filter { $0.command.configuration.shouldDisplay }
      .map { "| `\($0.path)` | \($0.command.configuration.abstract) |" }
    #expect(rows.count > 20)
    let page = try Page("CommandLine.md")
    #expect(
      page.lines.filter { $0.hasPrefix("| `baton ") }.map(String.init) == rows,
      "expected:\n\(rows.joined(separator: "\n"))")
  }

  @Test("every exit status is there")
  func exitStatuses() throws {
    let page = try Page("CommandLine.md").text
    let statuses: [EndStatus] = [.done, .failed, .usage, .unavailable, .settings, .outputClosed]
    for status in statuses { #expect(page.contains("\n| \(status.rawValue) | "), "\(status)") }
  }

  @Test("the statements that write dispatched_at are those of the page, and no other")
  func dispatchedAt() throws {
    let writers = ReviewStore.statements.filter { $0.sql.contains(#/(?:SET|\n)\s+dispatched_at = /#) }.map(\.name)
    let page = try Page("ReviewLifecycle.md")
    let section = try #require(page.text.split(separator: "These statements write `dispatched_at`").last)
    let rows = section.matches(of: /\n\| `([a-z_]+)` \|/).map { String($0.1) }.filter { ErrorCode(rawValue: $0) == nil }
    #expect(Set(writers) == Set(rows), "\(writers)")
  }

  @Test("the migration that the pages name for the trigger is the last that defines its function")
  func triggerFunction() throws {
    let folder = "Sources/ReviewStore/Migrations"
    let names = try FileManager.default.contentsOfDirectory(atPath: Page.root.appendingPathComponent(folder).path)
    let last = try #require(
      names.sorted().last { try Page.file("\(folder)/\($0)").contains("FUNCTION baton_review_changed()") })
    for page in ["Architecture.md", "ReviewLifecycle.md"] {
      let named = try Page(page).references.map(\.path).filter { $0.hasPrefix(folder) }
      #expect(named == ["\(folder)/\(last)"], "\(page)")
    }
  }

  @Test("every page is on the front page and in the README")
  func frontPage() throws {
    let (front, readme) = (try Page("baton.md").text, try Page.file("README.md"))
    for name in try Page.names where name != "baton.md" {
      #expect(front.contains("- <doc:\(name.dropLast(3))>"), "\(name)")
      #expect(readme.contains("(Sources/baton/baton.docc/\(name))"), "\(name)")
    }
  }

  @Test("every page that a page refers to exists, and every file, and every test stands in its file")
  func references() throws {
    var count = 0
    for name in try Page.names {
      let page = try Page(name)
      for link in page.text.matches(of: /<doc:([A-Za-z]+)>/) {
        #expect(try Page.names.contains("\(link.1).md"), "\(name): \(link.1)")
      }
      count += try page.checkReferences()
    }
    #expect(count > 150)
  }
}
