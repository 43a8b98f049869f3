import FoundationEssentials
import Primitives
import Reviews
import Testing
import WorkerAPI

/// Every character that JSON escapes, some that it need not, and text beyond the basic plane.
private let difficultTexts = [
  "", "plain", "\"\\/", String(String.UnicodeScalarView((0...0x20).map { Unicode.Scalar($0) })),
  "\u{7F}\u{80}\u{2028}\u{2029}",
  "Grüße, 世界 👩‍👩‍👧‍👦 e\u{301}", "</script><!--", "\\u0000 is no escape here", "ends with a backslash\\", "\r\n\t\u{8}\u{C}",
  String(repeating: "long \"line\"\n", count: 20_000),
]

private func request(_ text: String) -> StartRequest {
  StartRequest(
    reviewId: UUID(), attempt: 3, authToken: "a.b.c",
    sessionInput: SessionInput(
      githubRepo: "acme/shop", prompt: text, model: "m\(text)", platform: .github, upstreamBranch: text,
      githubToken: "ghs_\(text)", variant: "high", gateThreshold: "warning"),
    owner: RunOwner(type: .org, id: text, userId: text), agentVersion: "2", previousCloudAgentSessionId: text,
    maxReviewTimeMinutes: 10)
}

@Suite("Start request")
struct StartRequestTests {
  @Test("the hand-written JSON means what JSONEncoder's does", arguments: difficultTexts.indices)
  func meansTheSame(index: Int) throws {
    let request = request(difficultTexts[index])
    let written = Data(request.encode())
    let decoder = JSONDecoder()
    #expect(try decoder.decode(StartRequest.self, from: written) == request)
    var reference = try decoder.decode(JSONValue.self, from: JSONEncoder().encode(request))
    if case .object(var fields) = reference {
      fields["reviewId"] = .string(request.reviewId.lowercase)
      reference = .object(fields)
    }
    #expect(try decoder.decode(JSONValue.self, from: written) == reference)
  }

  @Test("absent options are left out, and an unknown user is null")
  func leavesOptionsOut() throws {
    let request = StartRequest(
      reviewId: UUID(), attempt: 1, authToken: "t",
      sessionInput: SessionInput(
        gitUrl: "https://gitlab.com/a/b.git", prompt: "p", model: "m", platform: .gitlab, upstreamBranch: "b"),
      owner: RunOwner(type: .user, id: "7"), maxReviewTimeMinutes: 5)
    let value = try JSONDecoder().decode(JSONValue.self, from: Data(request.encode()))
    guard case .object(let fields) = value, case .object(let input)? = fields["sessionInput"] else {
      Issue.record("no object")
      return
    }
    #expect(Set(fields.keys) == ["reviewId", "attempt", "authToken", "sessionInput", "owner", "maxReviewTimeMinutes"])
    #expect(Set(input.keys) == ["gitUrl", "prompt", "mode", "model", "platform", "upstreamBranch"])
    #expect(fields["owner"]?["userId"] == .null)
    #expect(try JSONDecoder().decode(StartRequest.self, from: Data(request.encode())) == request)
  }

  @Test("neither token nor prompt shows when a request is printed or dumped")
  func hidesSecrets() {
    let request = request("TOPSECRET")
    var dumped = ""
    dump(request, to: &dumped)
    dump(request.sessionInput, to: &dumped)
    for text in ["\(request)", String(reflecting: request), "\(request.sessionInput)", dumped] {
      #expect(!text.contains("TOPSECRET") && !text.contains("a.b.c"))
    }
  }

  @Test("the idempotency key has the id in lower case")
  func idempotencyKey() throws {
    let id = try #require(UUID(uuidString: "0B7A6E9C-0000-4000-8000-ABCDEFABCDEF"))
    #expect(StartRequest.idempotencyKey(reviewID: id, attempt: 2) == "0b7a6e9c-0000-4000-8000-abcdefabcdef/2")
  }
}
