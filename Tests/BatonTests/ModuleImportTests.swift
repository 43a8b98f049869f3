import Foundation
import Testing

/// Each client has one module above it that speaks its language; all others use that module's port.
@Suite("Imports of the clients")
struct ModuleImportTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  struct Rule: Sendable, CustomTestStringConvertible {
    let client: String
    /// The modules that speak its language, and those that build its configuration.
    let modules: [String]
    /// Files of other modules that still import it. This list only gets shorter.
    let exceptions: [String]
    var testDescription: String { client }
  }

  static let rules = [
    Rule(
      client: "PostgresClient", modules: ["Assembly", "Examples", "PostgresClient", "ReviewStore", "Settings"],
      exceptions: [
        "BatonServer/HTTP/HTTPFault+Store.swift",
        "BatonServer/Health/LoadFigures.swift", "baton/Roles/MigrateCommand.swift",
        "baton/Submitting/ReviewWatch.swift", "baton/Submitting/Submitter.swift", "baton/Support/Failure.swift",
        "baton/Support/CommandSession.swift",
      ]),
    Rule(
      client: "AMQPClient",
      modules: ["AMQPClient", "Assembly", "Examples", "InMemoryReviewQueue", "ReviewQueue", "Settings"],
      exceptions: [
        "baton/Commands/DeadCommand.swift", "baton/Commands/QueueCommand.swift", "baton/Roles/MigrateCommand.swift",
        "baton/Support/Failure.swift", "baton/Support/CommandSession.swift",
      ]),
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
      if lines.contains(where: { $0.hasSuffix("import \(rule.client)") }) { others.insert(path) }
    }
    #expect(others.subtracting(rule.exceptions).sorted() == [])
  }
}
