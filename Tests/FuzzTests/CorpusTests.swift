import Foundation
import Testing

/// The corpora of `deploy/prove fuzz`, and what once was a crash, in a run of seconds.
@Suite("Fuzzing corpora")
struct CorpusTests {
  private static func files(of target: FuzzTarget) throws -> [URL] {
    let root = try #require(Bundle.module.url(forResource: "Corpus", withExtension: nil))
    return try FileManager.default.contentsOfDirectory(
      at: root.appendingPathComponent(target.rawValue), includingPropertiesForKeys: nil
    ).sorted { $0.path < $1.path }
  }

  @Test("every input of the corpora is read or refused, and no promise is broken", arguments: FuzzTarget.allCases)
  func corpus(_ target: FuzzTarget) throws {
    let files = try Self.files(of: target)
    #expect(!files.isEmpty)
    for file in files {
      let bytes = Array(try Data(contentsOf: file))
      #expect(throws: Never.self, "\(file.lastPathComponent)") { try target.run(bytes) }
    }
  }
}
