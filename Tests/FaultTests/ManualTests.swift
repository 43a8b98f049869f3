import Foundation
import Support
import Testing

/// `deploy/local/manual`, with the executable under test.
@Suite("Manual pages and completions", .timeLimit(.minutes(2)))
struct ManualTests {
  private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// Runs a program to its end.
  /// - Returns: its exit status, and all that it printed.
  private func run(_ arguments: String...) throws -> (status: Int32, output: String) {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
  }

  @Test("every command has a page that roff takes without a warning, and the completions are scripts of their shells")
  func pages() throws {
    let share = FileManager.default.temporaryDirectory.appendingPathComponent("baton-manual-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: share) }
    let baton = try postgresTestVariable("BATON_TEST_EXECUTABLE")
    let made = try run(root.appendingPathComponent("deploy/local/manual").path, share.path, baton)
    #expect(made.status == 0, "\(made.output)")

    let pages = share.appendingPathComponent("man/man1")
    let names = try FileManager.default.contentsOfDirectory(atPath: pages.path).map { $0.replacing(".1", with: "") }
    // The commands that `baton --help` lists, those below them, and baton itself.
    let listed = try run(baton, "--help").output.matches(of: /(?m)^  ([a-z]+) {2,}\S/).map { "baton-\($0.1)" }
    #expect(listed.count > 10 && Set(listed).isSubset(of: names), "\(names)")
    #expect(names.contains("baton") && names.contains("baton-integration-add"))
    for name in names {
      let formatted = try run("groff", "-man", "-Tutf8", "-ww", "-z", pages.appendingPathComponent("\(name).1").path)
      #expect(formatted.status == 0 && formatted.output.isEmpty, "\(name): \(formatted.output)")
    }
    for (shell, path) in [
      ("bash", "bash-completion/completions/baton"), ("zsh", "zsh/site-functions/_baton"),
      ("fish", "fish/vendor_completions.d/baton.fish"),
    ] {
      let read = try run(shell, "-n", share.appendingPathComponent(path).path)
      #expect(read.status == 0 && read.output.isEmpty, "\(shell): \(read.output)")
    }
  }
}
