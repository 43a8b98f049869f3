import Foundation
import HTTPTypes
import NIOCore
import Primitives
import Reviews
import Testing

@testable import Sandbox

@Suite("Stand-in data")
struct FakeDataTests {
  @Test("every recording is JSON, and compacting it changes nothing but white space")
  func recordings() throws {
    for recording in Recording.all {
      let original = try JSONDecoder().decode(JSONValue.self, from: Data(recording.body.utf8))
      let compact = JSONText.compact(recording.body)
      #expect(try JSONDecoder().decode(JSONValue.self, from: Data(compact.utf8)) == original, "\(recording.path)")
      if case .array(let items) = original {
        let elements = try JSONText.elements(compact).map {
          try JSONDecoder().decode(JSONValue.self, from: Data($0.utf8))
        }
        #expect(elements == items, "\(recording.path)")
      }
    }
  }

  @Test(
    "a list is taken apart between its elements only",
    arguments: [
      ("[]", []), ("[1]", ["1"]), (#"["a,b",{"c":[1,2]},"\"]"]"#, [#""a,b""#, #"{"c":[1,2]}"#, #""\"]""#]),
    ] as [(String, [String])])
  func elements(_ list: String, _ elements: [String]) {
    #expect(JSONText.elements(list) == elements)
  }

  @Test("a text in a gap is escaped")
  func escaped() throws {
    let text = "a\"b\\c\nd\u{1}é"
    let template = BodyTemplate(#"{ "title": "X" }"#, gaps: [.init("X", .title)])
    let body = template.fill([.title: text])
    #expect(try JSONDecoder().decode([String: String].self, from: Data(body.readableBytesView)) == ["title": text])
  }

  @Test("at least ten open ones of GitHub can be submitted, all different, the recorded ones first")
  func known() throws {
    let open = FakePlatform.pullRequests().filter { $0.isOpen && $0.platform == .github }
    #expect(open.count >= 10)
    #expect(Set(open.map { "\($0.repository)#\($0.number)" }).count == open.count)
    #expect(open.map(\.isRecorded) == open.map(\.isRecorded).sorted { $0 && !$1 })
    #expect(open.filter(\.isRecorded).count == 4)
    for pull in FakePlatform.pullRequests() {
      let review = pull.review(owner: Owner(type: .org, id: "acme"))
      #expect(try NewReview(json: JSONEncoder().encode(review)) == review)
    }
  }

  @Test("the same repository and number always make up the same pull request")
  func madeUp() {
    let pull = MadeUpPullRequest(repository: "acme/shop", number: 17)
    #expect(pull == MadeUpPullRequest(repository: "acme/shop", number: 17))
    #expect(pull.headSha.count == 40 && pull.headSha.allSatisfy(\.isHexDigit))
    let many = Set((1...2000).map { MadeUpPullRequest(repository: "acme/shop", number: $0).headSha })
    #expect(many.count == 2000)
  }

  @Test("pages are cut as GitHub cuts them")
  func pages() throws {
    let items = Array(1...95)
    let second = FakePage(query: ["page": "2", "per_page": "40"], sizeDefault: 30)
    #expect(Array(second.slice(items)) == Array(41...80))
    let link = try #require(second.link(url: "http://a/b", count: 95))
    #expect(
      link.contains(#"<http://a/b?per_page=40&page=3>; rel="next""#)
        && link.contains(#"<http://a/b?per_page=40&page=1>; rel="prev""#))
    #expect(FakePage(query: [:], sizeDefault: 30).slice(items).count == 30)
    #expect(FakePage(query: ["per_page": "1000"], sizeDefault: 30).slice(items).count == 95)
    #expect(FakePage(query: ["page": "9223372036854775807"], sizeDefault: 30).slice(items).isEmpty)
    #expect(
      FakePage(query: ["page": "-3", "per_page": "0"], sizeDefault: 30)
        == FakePage(query: ["per_page": "1"], sizeDefault: 30))
    #expect(FakePage(query: [:], sizeDefault: 30).link(url: "x", count: 30) == nil)
  }

  @Test(
    "a path is understood, or unknown",
    arguments: [
      ("/repos/a/b/pulls/3", FakeRoute.githubPull, "a/b", 3),
      ("/repos/a/b/issues/3/comments", .githubIssueComments, "a/b", 3),
      ("/repos/a/b/pulls/3/comments", .githubReviewComments, "a/b", 3),
      ("/repos/a/b/pulls/3/files", .githubFiles, "a/b", 3),
      ("/repos/a/b/pulls/3/commits", .githubCommits, "a/b", 3), ("/repos/a/b", .githubRepository, "a/b", 0),
      ("/repositories/9/pulls/3", .githubPull, "9", 3), ("/repos/a/b/installation", .githubInstallation, "a/b", 0),
      ("/api/v4/projects/a%2Fb%2Fc/merge_requests/3", .gitlabMergeRequest, "a/b/c", 3),
      ("/api/v4/projects/7/merge_requests/3/notes", .gitlabNotes, "7", 3),
      ("/api/v4/projects/7/merge_requests/3/discussions", .gitlabDiscussions, "7", 3),
      ("/api/v4/user", .gitlabUser, "", 0), ("/api/v4/personal_access_tokens/self", .gitlabOwnToken, "", 0),
      ("/repos/a/b/pulls/x", .unknown, "", 0), ("/", .unknown, "", 0), ("/api/v4", .unknown, "", 0),
      ("/repos/a", .unknown, "", 0),
      ("/app/installations/3", .unknown, "", 0), ("/repos/%zz/b", .githubRepository, "%zz/b", 0),
    ])
  func routes(_ path: String, _ route: FakeRoute, _ repository: String, _ number: Int) {
    let call = FakeCall(method: .get, path: path)
    #expect(call.route == route)
    if route != .unknown { #expect(call.repository == repository && call.number == number) }
  }
}
