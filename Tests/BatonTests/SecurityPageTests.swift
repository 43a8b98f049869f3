import Foundation
import Testing

@Suite("The security page")
struct SecurityPageTests {
  private let root: URL
  private let lines: [Substring]

  init() throws {
    root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let page = root.appendingPathComponent("Sources/baton/baton.docc/Security.md")
    lines = try String(contentsOf: page, encoding: .utf8).split(separator: "\n")
  }

  /// A file of the tree between backticks, and the sentences in quotes behind it.
  private var references: [(path: String, tests: [String])] {
    let file = /`((?:Sources|Tests|deploy|\.ci)\/[A-Za-z0-9_.\/+-]+)`((?:,? ?"[^"]+")*)/
    return lines.flatMap { line in
      line.matches(of: file).map { match in
        (String(match.1), match.2.matches(of: /"([^"]+)"/).map { String($0.1) })
      }
    }
  }

  @Test("every file that it names exists, and every test stands in its file")
  func exist() throws {
    #expect(references.count > 50 && references.flatMap(\.tests).count > 20)
    for (path, tests) in references {
      let url = root.appendingPathComponent(path)
      #expect(FileManager.default.fileExists(atPath: url.path), "\(path)")
      guard !tests.isEmpty, let source = try? String(contentsOf: url, encoding: .utf8) else { continue }
      for test in tests { #expect(source.contains("\"\(test)\""), "\(path): \(test)") }
    }
  }

  @Test("a requirement that is met has something that shows it; one that is not says what is missing")
  func states() {
    let rows = lines.map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }.filter {
      $0.count == 4 && $0[0].first?.isNumber == true
    }
    #expect(rows.count > 40)
    for row in rows {
      let state = row[2]
      #expect(state == "not met" || state == "in part" || state.hasPrefix("met"), "\(row)")
      #expect(!state.hasPrefix("met") || row[3].contains("`") || row[3] == "this page", "\(row)")
      #expect(row[3].count > 8, "\(row)")
    }
  }
}
