import Testing

@testable import Platforms

@Suite("Link header")
struct LinkHeaderTests {
  @Test(
    "the next page is found in what GitHub and GitLab send",
    arguments: [
      (
        #"<https://api.github.com/repositories/1/issues?page=2>; rel="next", <https://api.github.com/x?page=5>; rel="last""#,
        "https://api.github.com/repositories/1/issues?page=2"
      ),
      (#"<https://a/first>; rel="first", <https://a/b?c=1,2;3>; rel="next""#, "https://a/b?c=1,2;3"),
      (#"<https://a/2>; rel=next"#, "https://a/2"),
      (#"<https://a/2>; title="a, b"; rel="prev next""#, "https://a/2"),
      (#"<https://a/2>;REL="Next""#, "https://a/2"),
    ])
  func next(_ header: String, _ target: String) {
    #expect(LinkHeader.target(of: "next", in: header) == target)
  }

  @Test(
    "a header without a next page, or one that is malformed, has none",
    arguments: [
      "", "<", "<https://a/1", "https://a/1; rel=next", #"<https://a/1>; rel="prev""#, "<https://a/1>", "<a>; rel",
      #"<https://a/1>; title="rel=next""#, #"<https://a/1>; title="; rel="prev""#,
    ])
  func none(_ header: String) {
    #expect(LinkHeader.target(of: "next", in: header) == nil)
  }
}
