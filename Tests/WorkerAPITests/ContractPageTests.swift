import Foundation
import Testing

@testable import WorkerAPI

/// Holds the JSON of the page on the worker contract against the types that are sent and read.
@Suite("Worker contract page")
struct ContractPageTests {
  /// The page's blocks of JSON, in their order.
  private static func blocks() throws -> [Data] {
    let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Sources/baton/baton.docc/WorkerContract.md")
    let parts = try String(contentsOf: page, encoding: .utf8).components(separatedBy: "```")
    return stride(from: 1, to: parts.count, by: 2).map { Data(parts[$0].trimmingPrefix("json").utf8) }
  }

  /// What the type writes of what it has read.
  private static func rewrite<Body: Codable>(_ type: Body.Type) -> (Data) throws -> Data {
    { try JSONEncoder().encode(JSONDecoder().decode(type, from: $0)) }
  }

  /// The paths of all values but nulls.
  private static func paths(_ value: Any, _ prefix: String = "") -> Set<String> {
    switch value {
    case let object as [String: Any]:
      object.reduce(into: []) { $0.formUnion(paths($1.value, "\(prefix).\($1.key)")) }
    case let list as [Any]: list.reduce(into: []) { $0.formUnion(paths($1, "\(prefix)[]")) }
    case is NSNull: []
    default: [prefix]
    }
  }

  @Test("every field of the page is one that the program sends or reads")
  func fields() throws {
    let types: [(Data) throws -> Data] = [
      Self.rewrite(StartRequest.self), Self.rewrite(StartRequest.self), Self.rewrite(StartResponse.self),
      Self.rewrite(RunStatus.self),
      Self.rewrite(RunEvents.self), Self.rewrite(CancelRequest.self), Self.rewrite(CancelResponse.self),
      Self.rewrite(StatusCallback.self),
    ]
    let blocks = try Self.blocks()
    try #require(blocks.count == types.count)
    for (block, rewrite) in zip(blocks, types) {
      let written = Self.paths(try JSONSerialization.jsonObject(with: block))
      let known = Self.paths(try JSONSerialization.jsonObject(with: rewrite(block)))
      #expect(written == known)
    }
  }
}
