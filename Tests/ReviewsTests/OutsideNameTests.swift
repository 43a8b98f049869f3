import Foundation
import Reviews
import Testing

@Suite("Names from outside")
struct OutsideNameTests {
  @Test(
    "branches that git takes are taken",
    arguments: [
      "main", "release/1.2", "Mf1805-pull_open", "refs/pull/17/head", "refs/merge-requests/7/head", "feature/#12+x@y",
      "größe/日本語", "$(reboot)", "a;b&c|d", "a'b\"c`d", "x/-y", "a.b", "x.locked", "lock", "a]b{c}", "HEAD", "+main",
      "@a",
    ])
  func branches(_ name: String) { #expect(OutsideName.refFault(name) == nil) }

  @Test(
    "branches that git refuses are refused, and a hyphen in front",
    arguments: [
      "", "-x", "--upload-pack=touch /tmp/x", "-", "a b", "a\nb", "main\n", "\nmain", "a\tb", "a\u{0}b", "a\u{7F}b",
      "a\r\nb",
      "a..b", "a@{b", "@", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "/a", "a/", "a//b", ".a", "a/.b", "a.",
      "a.lock",
      "a.lock/b", "a/b.lock",
    ])
  func refusedBranches(_ name: String) { #expect(OutsideName.refFault(name) != nil) }

  @Test(
    "repositories are paths of plain words",
    arguments: [
      ("acme/shop", true), ("acme/tools/sub/shop", true), ("a_b/.github", true), ("acme/-", true), ("acme/..a", true),
      ("acme/c++", true),
      ("acme", false), ("", false), ("/acme", false), ("acme/", false), ("a//b", false), ("../b", false),
      ("a/..", false),
      ("a/./b", false), ("-a/b", false), ("a b/c", false), ("a/b\n", false), ("a/b?x", false), ("a/b#c", false),
      ("a/b%2e", false),
      ("a/{repo}", false), ("a/$(x)", false), ("ä/b", false),
    ])
  func repositories(_ name: String, _ isName: Bool) { #expect((OutsideName.repositoryFault(name) == nil) == isName) }

  @Test(
    "a commit is one word, an author one line, an address has no user and no spaces",
    arguments: [
      (OutsideName.commitFault, "6dcb09b5b57875f334f61aebed695e2e4193db5e", true),
      (OutsideName.commitFault, "x-1", true),
      (OutsideName.commitFault, "-O/tmp/x", false), (OutsideName.commitFault, "--output=x", false),
      (OutsideName.commitFault, "", false), (OutsideName.commitFault, "a..b", false),
      (OutsideName.commitFault, "a\n", false),
      (OutsideName.authorFault, "dependabot[bot]", true), (OutsideName.authorFault, "Ada Lovelace", true),
      (OutsideName.authorFault, "a\nb", false), (OutsideName.authorFault, "a\u{1B}[31m", false),
      (OutsideName.addressFault, "https://github.com/acme/shop/pull/7", true),
      (OutsideName.addressFault, "http://[::1]:80/x", true), (OutsideName.addressFault, "https://", false),
      (OutsideName.addressFault, "https://u:p@h/x", false), (OutsideName.addressFault, "javascript:alert(1)", false),
      (OutsideName.addressFault, "https://h/a b", false), (OutsideName.addressFault, "https://h/\"onclick=x", false),
      (OutsideName.addressFault, "https://h/x\n", false),
    ] as [(@Sendable (String) -> String?, String, Bool)])
  func others(_ fault: @Sendable (String) -> String?, _ text: String, _ isFine: Bool) {
    #expect((fault(text) == nil) == isFine, "\(text)")
  }

  @Test("a submitted review with a name that is refused says which, and that nothing else is wrong")
  func submitted() throws {
    func review(_ changes: [String: Any]) throws -> Data {
      var fields: [String: Any] = [
        "owner": ["type": "org", "id": "acme"], "platform": "github", "repoFullName": "acme/shop", "prNumber": 4,
        "prUrl": "https://github.com/acme/shop/pull/4", "prTitle": "T", "prAuthor": "ada", "baseRef": "main",
        "headRef": "f",
        "headSha": "0a1b",
      ]
      fields.merge(changes) { $1 }
      return try JSONSerialization.data(withJSONObject: fields)
    }
    _ = try NewReview(json: review([:]))
    let names = [
      "baseRef": "--upload-pack=x", "headRef": "main\nINJECTED", "headSha": "-x", "repoFullName": "../..",
      "prAuthor": "a\nb",
      "prUrl": "javascript:x",
    ]
    for (field, value) in names {
      let error = #expect(throws: NewReviewFaults.self) { try NewReview(json: review([field: value])) }
      #expect(
        error?.faults.count == 1 && error?.faults[0].hasPrefix("\(field): ") == true && error?.isNameRefused == true)
    }
    let error = #expect(throws: NewReviewFaults.self) { try NewReview(json: review(["headRef": "-x", "prNumber": 0])) }
    #expect(error?.faults.count == 2 && error?.isNameRefused == false)
  }
}
