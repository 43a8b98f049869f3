internal import ArgumentParser
internal import Primitives
internal import Reviews
internal import Sandbox

/// `baton-sandbox pull-requests`
struct PullRequestsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pull-requests",
    abstract: "Prints the open pull requests of GitHub that can be reviewed, as `baton submit --file -` reads them.",
    discussion: """
      EXAMPLES:
        baton-sandbox pull-requests --owner org:acme | baton submit --file -
      """)

  @Option(help: ArgumentHelp("The owner of the reviews.", valueName: "type:id"), transform: Self.owner)
  var owner = Owner(type: .org, id: "sandbox-1")

  /// Those of GitLab need an integration that names the stand-in.
  func run() throws {
    for pullRequest in FakePlatform.pullRequests() where pullRequest.isOpen && pullRequest.platform == .github {
      StandardOutput.line(String(decoding: try JSONCoding.encode(pullRequest.review(owner: owner)), as: UTF8.self))
    }
  }

  private static func owner(_ text: String) throws -> Owner {
    guard let owner = Owner(text) else { throw ValidationError("expected user:ID or org:ID") }
    return owner
  }
}
