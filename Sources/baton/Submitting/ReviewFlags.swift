internal import ArgumentParser
internal import Primitives
internal import Reviews

/// One review by flags.
struct ReviewFlags: ParsableArguments {
  @Option(help: ArgumentHelp("Owner of the review.", valueName: "org:NAME|user:NAME"))
  var owner: Owner?

  @Option(help: ArgumentHelp("github or gitlab.", valueName: "platform"))
  var platform: Platform?

  @Option(help: ArgumentHelp("Repository, such as acme/shop.", valueName: "owner/name"))
  var repo: String?

  @Option(help: ArgumentHelp("Number of the pull request.", valueName: "n"))
  var number: Int?

  @Option(
    help: ArgumentHelp(
      "Web address of the pull request (default: the one at github.com or gitlab.com).", valueName: "url"))
  var url: String?

  // Titles and priorities may begin with a dash.
  @Option(parsing: .unconditional, help: ArgumentHelp("Title of the pull request.", valueName: "text"))
  var title: String?

  @Option(help: ArgumentHelp("Its author.", valueName: "login"))
  var author: String?

  @Option(help: ArgumentHelp("Branch that it is to be merged into.", valueName: "ref"))
  var base: String?

  @Option(help: ArgumentHelp("Branch that it comes from.", valueName: "ref"))
  var head: String?

  @Option(help: ArgumentHelp("Commit to review.", valueName: "sha"))
  var sha: String?

  @Option(
    help: ArgumentHelp("Integration that gives access to the repository; none for public ones.", valueName: "uuid"))
  var integration: String?

  @Option(help: ArgumentHelp("GitLab's number of the project.", valueName: "n"))
  var projectId: Int64?

  @Option(
    help: ArgumentHelp(
      "The platform's number of the repository, by which it is known under every name.", valueName: "n"))
  var repositoryId: Int64?

  @Option(parsing: .unconditional, help: ArgumentHelp("Higher goes first (default 0).", valueName: "n"))
  var priority: Int?

  @Option(help: ArgumentHelp("Do not start it before this time, such as 2026-11-28T08:00:00Z.", valueName: "time"))
  var availableAt: String?

  @Option(help: ArgumentHelp("Who asked for it.", valueName: "id"))
  var user: String?

  /// Each flag with the field that it fills in.
  private var fields: [(flag: String, name: String, value: JSONValue?)] {
    [
      ("--platform", "platform", platform.map { .string($0.rawValue) }),
      ("--repo", "repoFullName", repo.map { .string($0) }),
      ("--number", "prNumber", number.map { .integer(Int64($0)) }),
      ("--url", "prUrl", (url ?? defaultURL).map { .string($0) }),
      ("--title", "prTitle", title.map { .string($0) }),
      ("--author", "prAuthor", author.map { .string($0) }),
      ("--base", "baseRef", base.map { .string($0) }),
      ("--head", "headRef", head.map { .string($0) }),
      ("--sha", "headSha", sha.map { .string($0) }),
      ("--integration", "platformIntegrationId", integration.map { .string($0) }),
      ("--project-id", "platformProjectId", projectId.map { .integer($0) }),
      ("--repository-id", "platformRepositoryId", repositoryId.map { .integer($0) }),
      ("--priority", "priority", priority.map { .integer(Int64($0)) }),
      ("--available-at", "availableAt", availableAt.map { .string($0) }),
      ("--user", "userId", user.map { .string($0) }),
    ]
  }

  private var defaultURL: String? {
    guard let platform, let repo, let number else { return nil }
    switch platform {
    case .github: return "https://github.com/\(repo)/pull/\(number)"
    case .gitlab: return "https://gitlab.com/\(repo)/-/merge_requests/\(number)"
    }
  }

  /// Whether none of the flags was given.
  var isEmpty: Bool { owner == nil && fields.allSatisfy { $0.value == nil } }

  /// The review that the flags describe.
  /// - Throws: `ValidationError` with every fault, by the flags' names.
  func review() throws -> NewReview {
    var object: [String: JSONValue] = [:]
    for field in fields { object[field.name] = field.value }
    if let owner { object["owner"] = .object(["type": .string(owner.type.rawValue), "id": .string(owner.id)]) }
    do {
      return try NewReview(json: .object(object))
    } catch {
      // Without --url the address follows from other flags: then its fault is theirs.
      let faults = error.faults.filter { url != nil || !$0.hasPrefix("prUrl:") }
      throw ValidationError(faults.map(flagFault).joined(separator: "\n"))
    }
  }

  private func flagFault(_ fault: String) -> String {
    if fault.hasPrefix("owner:") { return "--owner: missing; give org:NAME or user:NAME" }
    for field in fields where fault.hasPrefix("\(field.name):") {
      return field.flag + fault.dropFirst(field.name.count)
    }
    return fault
  }
}
