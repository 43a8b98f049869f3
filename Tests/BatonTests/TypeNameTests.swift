import Foundation
import Testing

/// A name that means two things has to be looked up twice.
@Suite("Names of types")
struct TypeNameTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  @Test("no two types of the source tree that no other type contains have the same name")
  func unique() throws {
    // At the start of a line: what stands in another type is indented.
    let declaration =
      #/^(?:(?:public|package|private|fileprivate|final|indirect) )*(?:struct|class|enum|actor|protocol|typealias) (\w+)/#
    let sources = Self.root.appendingPathComponent("Sources")
    let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
    var places: [String: [String]] = [:]
    for case let file as URL in files where file.pathExtension == "swift" {
      for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
        guard let match = line.prefixMatch(of: declaration) else { continue }
        places[String(match.1), default: []].append(String(file.path.dropFirst(sources.path.count + 1)))
      }
    }
    #expect(places.count > 500)
    #expect(places.filter { $0.value.count > 1 } == [:])
  }
}
