import Foundation
import PostgresClient
import Primitives
import Support
import Testing

@Suite("baton submit, from outside", .timeLimit(.minutes(5)))
struct SubmitCommandTests {
  /// A review as a line of the file.
  private func reviewLine(owner: String = "acme", number: Int = 1, integration: String? = nil) -> String {
    let named = integration.map { #""platformIntegrationId":"\#($0)","# } ?? ""
    return
      #"{"owner":{"type":"org","id":"\#(owner)"},"platform":"github",\#(named)"repoFullName":"acme/shop","prNumber":\#(number),"#
      + #""prUrl":"https://github.com/acme/shop/pull/1","prTitle":"T","prAuthor":"ada","baseRef":"main","headRef":"f","headSha":"0123abcd"}"#
  }

  @Test("malformed lines are named by number, and the good ones are submitted")
  func submit() async throws {
    try await withTestCluster { cluster in
      let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).jsonl").path
      defer { try? FileManager.default.removeItem(atPath: file) }
      try [reviewLine(), "{oops", reviewLine(number: 2), #"{"platform":"svn"}"#]
        .joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
      let result = try await cluster.run("submit", "--file", file)
      #expect(result.status == 1)
      #expect(result.output.contains("line 2") && result.output.contains("line 4"), "\(result.output)")
      let count = try await cluster.test.sql("SELECT count(*) FROM code_reviews")
      #expect(try count[0].decode(0, as: Int64.self) == 2)
    }
  }

  @Test(
    "a line that names another owner's integration is refused by its number and field, and the others are submitted")
  func foreignIntegration() async throws {
    try await withTestCluster { cluster in
      try await cluster.addIntegration()
      let id = try await cluster.test.sql("SELECT id FROM platform_integrations")[0].decode(0, as: UUID.self).lowercase
      let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).jsonl").path
      defer { try? FileManager.default.removeItem(atPath: file) }
      try "\(reviewLine(integration: id))\n\(reviewLine(owner: "evil", integration: id))".write(
        toFile: file, atomically: true, encoding: .utf8)
      let result = try await cluster.run("submit", "--file", file)
      #expect(result.status == 1)
      #expect(
        result.output.contains(
          "line 2: platformIntegrationId: review names integration \(id), which belongs to another owner"),
        "\(result.output)")
      #expect(try await cluster.count("code_reviews") == 1)
    }
  }
}
