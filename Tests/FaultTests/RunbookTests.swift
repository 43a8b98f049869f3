import Foundation
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

/// The commands of deploy/runbooks, typed as they stand there.
@Suite("Runbooks", .timeLimit(.minutes(3)))
struct RunbookTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("deploy/runbooks")

  /// The text of every page, by its name.
  private static func pages() throws -> [(name: String, text: String)] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".md") }.sorted().map {
      ($0, try String(contentsOf: folder.appendingPathComponent($0), encoding: .utf8))
    }
  }

  /// What stands in code and begins with `baton`: up to a comment, a pipe or the end of the line.
  private static func commands(in text: String) -> [String] {
    (text.matches(of: /(?m)^    (baton [^#|\n]+)/).map { String($0.1) }
      + text.matches(of: /`(baton [^`|\n]+)`/).map { String($0.1) })
      .map { $0.trimmingCharacters(in: .whitespaces) }
  }

  /// Runs one command in a shell, in which `baton` is the executable under test.
  private func run(_ command: String, _ cluster: TestCluster) async throws -> (status: Int32, output: String) {
    // The executable is the shell's own name there.
    let script = command.replacing(/^baton/, with: "exec timeout 20 \"$0\"")
    let process = try BatonProcess([], settings: cluster.settings, through: ["bash", "-c", script])
    return (await process.wait(), process.output)
  }

  @Test("each command of Baton in a runbook is one that it takes, and does what it says")
  func baton() async throws {
    try await withTestCluster { cluster in
      let review = try await cluster.test.insert(1)[0].lowercase
      let endpoint = try await cluster.test.store.addEndpoint("https://hooks.example.com/x", owner: nil) { _ in [0] }
        .lowercase
      let names = [("ID", review), ("7f3a", review), ("0b6e6c1e", endpoint), ("NAME", "acme"), ("CODE", "worker_lost")]
      var typed: Set<String> = []
      for (page, text) in try Self.pages() {
        for command in Self.commands(in: text) where Self.isWhole(command) && typed.insert(command).inserted {
          let filled = try names.reduce(command) { $0.replacing(try Regex("\\b\($1.0)\\b"), with: $1.1) }
          let (status, output) = try await run(filled, cluster)
          // A review or an endpoint may have another status by now: only what is typed counts.
          #expect(status == 0 || status == 1 && output.contains("Error: "), "\(page): \(command): \(status) \(output)")
          #expect(!output.contains("Usage:"), "\(page): \(command): \(output)")
        }
      }
      #expect(typed.count >= 25, "\(typed.sorted())")
    }
  }

  /// Not a command that a sentence only names, nor one that keeps running, nor what would take the dead letters of other tests.
  private static func isWhole(_ command: String) -> Bool {
    let words = command.split(separator: " ").dropFirst()
    let isRole = ["produce", "consume", "serve", "worker", "up"].contains(words.first) && !words.contains("--once")
    return !isRole && !words.contains("--interval") && !words.contains("--watch")
      && !words.starts(with: ["dead", "purge"])
      && !["cancel", "show", "retry"].contains(words.joined(separator: " "))
  }

  @Test("each psql command of a runbook runs on Baton's database")
  func psql() async throws {
    try await withTestCluster { cluster in
      var count = 0
      for (page, text) in try Self.pages() {
        for found in text.matches(of: /psql "\$BATON_DATABASE_URL"(?:\s+-c ("[^"]*"|'[^']*'))(?: -c "[^"]*")*/) {
          count += 1
          let process = try BatonProcess(
            [], settings: cluster.settings,
            through: ["bash", "-c", String(found.0).replacing("PID", with: "0") + " -v ON_ERROR_STOP=1"])
          #expect(await process.wait() == 0, "\(page): \(found.0): \(process.output)")
        }
      }
      #expect(count >= 5)
    }
  }
}
