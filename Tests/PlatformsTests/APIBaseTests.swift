import Primitives
import Testing

@testable import Platforms

@Suite("API base")
struct APIBaseTests {
  @Test("a path of the base is kept, and a slash at its end is not doubled")
  func path() throws {
    #expect(
      try #require(APIBase("https://ghe.example.com/api/v3/")).url("/user") == "https://ghe.example.com/api/v3/user")
    #expect(try #require(APIBase("https://api.github.com")).url("/user") == "https://api.github.com/user")
    #expect(try #require(APIBase("HTTP://127.0.0.1:8080")).url("/user") == "http://127.0.0.1:8080/user")
  }

  @Test(
    "the scheme's own port is no part of the name",
    arguments: [
      ("https://gitlab.com:443", "gitlab.com"), ("https://GitLab.com", "gitlab.com"), ("http://a:443", "a:443"),
      ("https://[::1]:8443", "[::1]:8443"),
    ])
  func authority(_ text: String, _ name: String) throws {
    #expect(try #require(APIBase(text)).authority == name)
  }

  @Test(
    "what is no plain http address is refused",
    arguments: [
      "", "gitlab.com", "ftp://gitlab.com", "https://", "https://user@gitlab.com", "https://gitlab.com?x=1",
      "https://gitlab.com#x", "file:///etc/passwd",
    ])
  func refused(_ text: String) {
    #expect(APIBase(text) == nil)
  }

  @Test(
    "a link of the same origin is resolved",
    arguments: [
      "https://api.github.com/x?page=2", "/x?page=2", "https://API.github.com:443/x?page=2",
    ])
  func sameOrigin(_ reference: String) throws {
    let base = try #require(APIBase("https://api.github.com"))
    let url = try #require(base.sameOrigin(reference, from: "https://api.github.com/y/z"))
    #expect(url.lowercased().hasSuffix("/x?page=2"))
  }

  @Test(
    "a link that leads elsewhere is not followed",
    arguments: [
      "https://evil.example/x", "http://api.github.com/x", "https://api.github.com:8443/x", "//evil.example/x",
      "https://api.github.com@evil.example/x", "https://user:pw@api.github.com/x",
      "https://api.github.com.evil.example/x",
    ])
  func elsewhere(_ reference: String) throws {
    let base = try #require(APIBase("https://api.github.com"))
    #expect(base.sameOrigin(reference, from: "https://api.github.com/y/z") == nil)
  }

  @Test("a segment is encoded so that it stays one")
  func encoding() {
    #expect("group/sub group/naïve.project".percentEncoded == "group%2Fsub%20group%2Fna%C3%AFve.project")
    #expect("a?b#c%2F\n".percentEncoded == "a%3Fb%23c%252F%0A")
  }

  @Test(
    "a repository's name cannot lead to another path",
    arguments: [
      "acme", "acme/", "/shop", "acme/..", "../shop", "acme/shop/pulls", "acme/.", "",
    ])
  func names(_ name: String) {
    #expect(GitHubSource.path(of: name) == nil)
  }
}
