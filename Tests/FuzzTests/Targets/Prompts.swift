import FoundationEssentials
import Primitives
import Reviews
import WorkerAPI

@testable import Platforms

/// Title, author, branch, base, commit and repository, each on a line, then the description: on their way into a start request.
func fuzzPrompt(_ bytes: [UInt8]) throws {
  var input = FuzzInput(bytes)
  let (title, author, head, base) = (input.line(), input.line(), input.line(), input.line())
  let (sha, repository) = (input.line(), input.line())
  let description = input.text
  var comments = InlineComments()
  comments.add(path: head, line: 7, text: description, isOutdated: false)
  for platform in Platform.allCases {
    let review = LeasedReview(
      id: UUID(uuid: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)), attempt: 1,
      owner: Owner(type: .org, id: "acme"), platform: platform, repoFullName: repository, prNumber: 7,
      prUrl: "https://example.com/7", prTitle: title, prAuthor: author, baseRef: base, headRef: head, headSha: sha,
      previousHeadSha: sha, claimedAt: Timestamp(microseconds: 0), leasedAt: Timestamp(microseconds: 0),
      configuration: "{}")
    let facts = PullRequestFacts(
      title: title, author: author, description: description, isDraft: true, isFork: platform == .github,
      headSha: head, baseRef: base, headRef: head, repository: repository,
      summary: .comment(id: 7, body: description), inlineComments: comments)
    try check(review, facts)
  }
}

private let builder = PayloadBuilder(
  authKey: AuthKey(encryptionKey: [UInt8](repeating: 7, count: 32)), byteCountMax: StartRequest.byteCountMax,
  now: { Date(timeIntervalSince1970: 0) })

private func check(_ review: LeasedReview, _ facts: PullRequestFacts) throws {
  let payload = try builder.payload(
    review, CollectedPullRequest(facts: facts, token: nil), ReviewConfiguration(), agentVersion: nil)
  let start = try JSONCoding.decode(StartRequest.self, from: payload.body)
  let prompt = start.sessionInput.prompt
  try promise(
    !prompt.utf8.contains { $0 < 0x20 && $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\t") }, "a control character")
  // No text closes its own fence: what is fenced holds no line that is its fence.
  let text = UntrustedText(markdown: facts.description, byteCountMax: Prompt.descriptionByteCountMax)
  let lines = text.fenced("x").split(separator: "\n", omittingEmptySubsequences: false)
  if let fence = lines.last, lines.count > 2 {
    try promise(!lines.dropFirst(2).dropLast().contains { $0.hasPrefix(fence) }, "a text closes its fence")
  }
}
