import Foundation
import Primitives
import Reviews
import Testing

@testable import baton

@Suite("Secrets from files")
struct SecretInputTests {
  private func read(_ bytes: [UInt8]) throws -> Secret {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).txt")
    try Data(bytes).write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    return try SecretInput.read("token", from: url.path)
  }

  @Test(
    "white space at the ends of a secret does not count",
    arguments: ["glpat-x", "glpat-x\n", "glpat-x\r\n", "glpat-x\n\n", " glpat-x \t\n"])
  func good(text: String) throws {
    #expect(try read(Array(text.utf8)).reveal() == "glpat-x")
  }

  @Test(
    "what can be no secret is refused, and not repeated",
    arguments: [
      "", "\n", "hush hush", "hush\nhush", "hush\u{0}", "\u{7f}hush", String(repeating: "hush", count: 5_000),
    ])
  func bad(text: String) {
    let failure = #expect(throws: Failure.self) { try read(Array(text.utf8)) }
    #expect(failure?.status == .failed)
    #expect(failure?.description.contains("hush") == false)
  }

  @Test("bytes that are no text, and a file that is not there, are refused")
  func unreadable() {
    #expect(throws: Failure.self) { try read([0xFF, 0xFE]) }
    #expect(throws: Failure.self) { try SecretInput.read("token", from: "/nowhere/token") }
  }
}
