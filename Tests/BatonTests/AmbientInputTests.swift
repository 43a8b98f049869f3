import Foundation
import Testing

/// Time, chance and tasks reach the core only through what is injected: then a test or a simulation decides all of them.
@Suite("Ambient time, chance and tasks")
struct AmbientInputTests {
  private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Sources")

  /// What reads a clock, sleeps, draws by chance, or begins a task that leaves its creator's executor.
  private static let ambient = [
    #"ContinuousClock\.now"#, #"SuspendingClock"#, #"(?<![\w)\]])\.now\b"#, #"\bDate\(\)"#, #"\bDate\.now"#,
    #"\.processNow"#,
    #"Task\.sleep"#, #"\bUUID\(\)"#, #"\bHolder\.ID\(\)"#, #"\bTraceContext\(\)"#, #"\.child\(\)"#, #"\.random\("#,
    #"\.randomElement\("#, #"\.shuffled\("#, #"SystemRandomNumberGenerator"#, #"\bTask(\.detached)? ?\{"#,
    #"\bDispatchQueue\b"#, #"\bThread\b"#, #"\bWakeup\(\)"#, #"\bContinuousClock\(\)"#, #"\bRandomSource\(\)"#,
    #"\bnotice\.(failed|worked)\((?!.*\bat:)"#, #"\.delay\(attempt:(?!.*(from|using):)"#,
    #"\.tried\((?!.*using:)"#, #"\bPeriodicLoop\((?!.*random:)"#, #"\bKeyWatch \{"#,
  ]

  /// Defaults of parameters, for the programs that run with the real ones.
  private static let defaults = [
    "clock: any MonotonicClock = ContinuousClock()", "monotonicClock: any MonotonicClock = ContinuousClock()",
    "random: RandomSource = RandomSource()", "@Sendable () -> Timestamp = { .processNow }",
  ]

  @Test(
    "the dispatcher and the ports in memory read no clock and no chance of their own, and begin no task out of sight",
    arguments: ["Dispatching", "InMemoryReviewQueue", "InMemoryReviewStore"])
  func injected(_ folder: String) throws {
    let patterns = try Self.ambient.map { try NSRegularExpression(pattern: $0) }
    var found: [String] = []
    for file in try Self.files(of: folder) {
      for (number, line) in try String(contentsOf: file, encoding: .utf8).split(
        separator: "\n", omittingEmptySubsequences: false
      )
      .enumerated() {
        var code = String(line.split(separator: "//", maxSplits: 1, omittingEmptySubsequences: false)[0])
        for text in Self.defaults { code = code.replacingOccurrences(of: text, with: "") }
        let range = NSRange(code.startIndex..., in: code)
        if patterns.contains(where: { $0.firstMatch(in: code, range: range) != nil }) {
          found.append("\(file.lastPathComponent):\(number + 1): \(line)")
        }
      }
    }
    #expect(found == [])
  }

  @Test("Resilience begins tasks only where they inherit their creator's executor")
  func tasks() throws {
    let pattern = try NSRegularExpression(pattern: #"\bTask(\.detached)?( ?\{|\()"#)
    let files = try Self.files(of: "Resilience").filter {
      let text = try String(contentsOf: $0, encoding: .utf8)
      return pattern.firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) != nil
    }
    #expect(files.map(\.lastPathComponent) == ["UnstructuredTasks.swift"])
  }

  private static func files(of folder: String) throws -> [URL] {
    let found = FileManager.default.enumerator(
      at: sources.appendingPathComponent(folder), includingPropertiesForKeys: nil)
    let files = try #require(found).compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
    try #require(!files.isEmpty, "\(folder) has no sources")
    return files
  }
}
