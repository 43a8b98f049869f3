import Foundation
import Reviews
import Settings
import Telemetry
import Testing

@Suite("README")
struct ReadmeTests {
  private let readme: String

  init() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    readme = try String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
  }

  @Test("the tables of settings and metrics are those of the code")
  func tables() {
    #expect(readme.contains(Settings.markdownTable.trimmingCharacters(in: .newlines)))
    #expect(readme.contains(BatonMetrics.markdownTable.trimmingCharacters(in: .newlines)))
  }

  @Test("every error code is there, with what to do", arguments: ErrorCode.allCases)
  func errorCodes(code: ErrorCode) {
    #expect(readme.contains("| `\(code.rawValue)` | \(code.advice) |"))
  }
}
