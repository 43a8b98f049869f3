import Reviews
import Testing

@Suite("Which pull requests are reviewed")
struct PullRequestFilterTests {
  private func filter(_ json: String) throws -> PullRequestFilter { try ReviewConfiguration(json: json).filter }

  private func subject(
    author: String = "ann", isBot: Bool = false, base: String = "main", labels: [String] = [],
    title: String = "Faster uploads", isDraft: Bool = false
  ) -> PullRequestFilter.Subject {
    .init(author: author, isBot: isBot, base: base, labels: labels, title: title, isDraft: isDraft)
  }

  @Test(
    "a star matches within a part of a path, two stars across parts, and letter case never matters",
    arguments: [
      ("main", "main", true), ("main", "MAIN", true), ("main", "main2", false), ("release/*", "release/1", true),
      ("release/*", "release/1/2", false), ("release/**", "release/1/2", true), ("**/*.md", "README.md", true),
      ("**/*.md", "docs/a/b.md", true), ("*.md", "docs/a.md", false), ("v?", "v1", true), ("v?", "v12", false),
      ("*", "", true), ("", "", true), ("", "a", false), ("**", "a/b", true), ("*a*b*", "xxaxxbxx", true),
      ("docs/**", "docs/x", true), ("docs/**", "doc/x", false),
    ])
  func patterns(_ pattern: String, _ name: String, _ matches: Bool) {
    #expect(PullRequestFilter.Pattern(pattern).matches(name) == matches)
  }

  @Test("a pattern of many stars takes no time that its length does not explain")
  func manyStars() {
    let pattern = PullRequestFilter.Pattern(String(repeating: "*a", count: 90))
    #expect(!pattern.matches(String(repeating: "a", count: 80) + "b"))
  }

  @Test("without filters everything but a draft is reviewed")
  func none() throws {
    let filter = try filter("{}")
    #expect(filter.exclusion(of: subject()) == nil)
    #expect(filter.exclusion(of: subject(isDraft: true)) == "the pull request is a draft")
    #expect(filter.exclusion(ofFiles: all([])) == nil)
  }

  @Test("each field excludes what it names, and says so")
  func fields() throws {
    let filter = try filter(
      """
      {"skip_authors":["dependabot*"],"skip_bots":true,"base_branches":["main","release/*"],"skip_labels":["no review"],
       "skip_title_words":["wip","[skip review]"],"review_drafts":true}
      """)
    #expect(filter.exclusion(of: subject(isDraft: true)) == nil)
    #expect(filter.exclusion(of: subject(author: "Dependabot[bot]"))?.contains("skip_authors") == true)
    #expect(filter.exclusion(of: subject(isBot: true))?.contains("skip_bots") == true)
    #expect(filter.exclusion(of: subject(base: "release/2")) == nil)
    #expect(filter.exclusion(of: subject(base: "dev"))?.contains("base_branches") == true)
    #expect(filter.exclusion(of: subject(labels: ["bug", "No Review"]))?.contains("skip_labels") == true)
    #expect(filter.exclusion(of: subject(title: "WIP: faster"))?.contains("skip_title_words") == true)
    #expect(filter.exclusion(of: subject(title: "Swipe left")) == nil)
    #expect(filter.exclusion(of: subject(title: "Fix [skip review] it"))?.contains("skip_title_words") == true)
  }

  @Test("files count unless they are left out, and one that counts is enough")
  func files() throws {
    let filter = try filter(#"{"paths":["Sources/**","*.swift"],"skip_paths":["**/*.md","Sources/Generated/**"]}"#)
    #expect(filter.exclusion(ofFiles: all(["Sources/a.swift", "README.md"])) == nil)
    #expect(filter.exclusion(ofFiles: all(["README.md"]))?.contains("skip_paths") == true)
    #expect(filter.exclusion(ofFiles: all(["Sources/Generated/x.swift", "Tests/a.c"]))?.contains("paths") == true)
    #expect(filter.exclusion(ofFiles: all(["Package.swift"])) == nil)
  }

  @Test("from a list that is not complete, or empty, nothing follows")
  func incompleteFiles() throws {
    let filter = try filter(#"{"paths":["Sources/**"],"skip_paths":["**/*.md"]}"#)
    for paths in [["README.md"], ["Tests/a.c"]] {
      #expect(filter.exclusion(ofFiles: all(paths)) != nil)
      #expect(filter.exclusion(ofFiles: ChangedFiles(paths: paths, isComplete: false)) == nil)
    }
    #expect(filter.exclusion(ofFiles: all([])) == nil)
  }

  private func all(_ paths: [String]) -> ChangedFiles { ChangedFiles(paths: paths, isComplete: true) }

  @Test("faulty fields are named")
  func faults() {
    #expect(throws: ReviewConfigurationFaults.self) { try filter(#"{"skip_authors":"x"}"#) }
    #expect(throws: ReviewConfigurationFaults.self) { try filter(#"{"skip_bots":1}"#) }
    #expect(throws: ReviewConfigurationFaults.self) { try filter(#"{"paths":[""]}"#) }
  }
}
