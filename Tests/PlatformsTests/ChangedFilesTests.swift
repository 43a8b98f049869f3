import Foundation
import Primitives
import Reviews
import Sandbox
import Testing

@testable import Platforms

/// Whether all files of a pull request are known: a gate is passed without a review if none of them counts.
@Suite("Changed files")
struct ChangedFilesTests {
  private func files(_ answer: PlatformAnswer<ChangedFiles>) throws -> ChangedFiles {
    guard case .answer(let files) = answer else { throw NoFiles(answer: "\(answer)") }
    return files
  }

  private struct NoFiles: Error {
    var answer: String
  }

  private func entries(_ count: Int) -> [String] {
    (0..<count).map { #"{"filename":"f\#($0)","new_path":"f\#($0)","old_path":"f\#($0)"}"# }
  }

  @Test(
    "GitHub's list has all files up to its bound of 3,000 entries",
    arguments: [(2, true), (200, true), (2_999, true), (3_000, false), (3_100, false)])
  func github(_ count: Int, _ isComplete: Bool) async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.setList(entries(count), route: .githubFiles, of: "acme/shop", number: 17)
      let questions = PlatformQuestions(access: try harness.access())
      let files = try files(
        await questions.files(ofPullRequest: 17, of: "acme/shop", try Samples.integration(token: "t")))
      #expect(files.isComplete == isComplete)
      #expect(files.paths.count == min(count, 3_000))
    }
  }

  @Test(
    "GitLab's list has all files if the merge request counts as many",
    arguments: [
      (2, "\"2\"", true), (167, "\"167\"", true), (167, "\"167+\"", false), (1_000, "\"1000+\"", false),
      (2, "\"3\"", false),
      (0, "null", false),
    ])
  func gitlab(_ count: Int, _ total: String, _ isComplete: Bool) async throws {
    try await FakePlatformHarness.run { harness in
      harness.fakePlatform.setList(entries(count), route: .gitlabDiffs, of: "7", number: 17)
      harness.fakePlatform.setFields(["changes_count": total], of: "7", number: 17)
      let questions = PlatformQuestions(access: try harness.access())
      let files = try files(
        await questions.files(
          ofMergeRequest: 17, ofProject: 7, "acme/shop", "\(harness.address)/acme/shop/-/merge_requests/17",
          try Samples.integration(token: "t", instance: harness.address)))
      #expect(files.isComplete == isComplete)
      #expect(files.paths.count == count)
    }
  }
}
