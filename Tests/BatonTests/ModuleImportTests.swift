import Foundation
import Testing

/// Each client has one module above it that speaks its language; all others use that module's port.
@Suite("Imports of the clients")
struct ModuleImportTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  struct Rule: Sendable, CustomTestStringConvertible {
    let client: String
    /// The client itself with its example, the module that speaks its language, and the one that builds its connections.
    let modules: [String]
    var testDescription: String { client }
  }

  static let rules = [
    Rule(client: "PostgresClient", modules: ["Assembly", "Examples", "PostgresClient", "ReviewStore"]),
    Rule(client: "AMQPClient", modules: ["AMQPClient", "Assembly", "Examples", "ReviewQueue"]),
  ]

  @Test("only the module above a client imports it", arguments: rules)
  func imports(_ rule: Rule) throws {
    let sources = Self.root.appendingPathComponent("Sources")
    let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
    var others: Set<String> = []
    for case let file as URL in files where file.pathExtension == "swift" {
      let path = String(file.path.dropFirst(sources.path.count + 1))
      guard let module = path.split(separator: "/").first, !rule.modules.contains(String(module)) else { continue }
      let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
      if lines.contains(where: { Self.isImport($0, of: rule.client) }) { others.insert(path) }
    }
    #expect(others.sorted() == [])
  }

  /// Also with an access level or attributes, and of a single declaration.
  private static func isImport(_ line: Substring, of module: String) -> Bool {
    let words = line.split { $0 == " " || $0 == "." }
    guard let place = words.firstIndex(of: "import"), !line.hasPrefix("//") else { return false }
    return words[place...].contains(Substring(module))
  }
}
