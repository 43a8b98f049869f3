import Foundation
import Testing

/// A page of the program's documentation, `Sources/baton/baton.docc`.
struct Page {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  private static let folder = "Sources/baton/baton.docc"

  let name: String
  let text: String
  var lines: [Substring] { text.split(separator: "\n") }

  init(_ name: String) throws {
    self.name = name
    text = try Self.file("\(Self.folder)/\(name)")
  }

  /// The files of all pages.
  static var names: [String] {
    get throws {
      try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent(folder).path)
        .filter { $0.hasSuffix(".md") }.sorted()
    }
  }

  static func file(_ path: String) throws -> String {
    try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
  }

  /// Files of the tree between backticks, and the names of tests in quotes behind each.
  var references: [(path: String, tests: [String])] {
    let file = /`((?:Sources|Tests|deploy|\.ci)\/[A-Za-z0-9_.\/+-]+)`((?:,? ?"[^"]+")*)/
    return lines.flatMap { line in
      line.matches(of: file).map { match in
        (String(match.1), match.2.matches(of: /"([^"]+)"/).map { String($0.1) })
      }
    }
  }

  /// Expects that every file exists, and that every test stands in its file.
  /// - Returns: how many files are named.
  func checkReferences() throws -> Int {
    for (path, tests) in references {
      let url = Self.root.appendingPathComponent(path)
      #expect(FileManager.default.fileExists(atPath: url.path), "\(name): \(path)")
      guard !tests.isEmpty, let source = try? String(contentsOf: url, encoding: .utf8) else { continue }
      for test in tests { #expect(source.contains("\"\(test)\""), "\(name): \(path): \(test)") }
    }
    return references.count
  }
}
