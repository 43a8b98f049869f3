internal import Foundation

/// The Swift code of a documentation page, and of the example that is compiled.
package struct PageExamples {
  /// The page's blocks of code, without those of a manifest.
  package let blocks: [String]
  private let sources: [String]

  /// - Parameters:
  ///   - page: a path below the package's folder.
  ///   - folder: of the example's sources, likewise.
  package init(page: String, folder: String) throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appendingPathComponent(page), encoding: .utf8)
    blocks = text.components(separatedBy: "```swift\n").dropFirst()
      .compactMap { $0.components(separatedBy: "```").first }.filter { !$0.hasPrefix(".target") }
    let files = try FileManager.default.contentsOfDirectory(
      at: root.appendingPathComponent(folder), includingPropertiesForKeys: nil)
    sources = try files.map { Self.words(try String(contentsOf: $0, encoding: .utf8)) }
  }

  /// Whether one of the example's files has the code, however its lines are broken.
  package func isCompiled(_ block: String) -> Bool { sources.contains { $0.contains(Self.words(block)) } }

  private static func words(_ text: String) -> String { text.filter { !$0.isWhitespace } }
}
