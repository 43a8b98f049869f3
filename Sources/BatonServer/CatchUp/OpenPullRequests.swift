internal import FoundationEssentials
internal import Platforms
internal import Primitives
internal import ReviewStore
internal import Reviews

/// Looks through the open pull requests of an installation or a project, and stores an event for each commit that has neither a review nor a
/// delivery that says why not.
struct OpenPullRequests {
  let store: ReviewStore
  let questions: PlatformQuestions
  let interval: Duration

  /// Pages of a hundred pull requests of one repository.
  private static let pageCountMax = 10
  private static let retry: Duration = .seconds(60)

  /// Where an installation's look goes on: the page of repositories, and how many of it are done. A project has the page alone.
  private struct Position {
    var page = 1
    var done = 0

    init(_ text: String?) {
      let parts = (text ?? "").split(separator: ".").compactMap { Int($0) }
      if parts.count == 2 { (page, done) = (max(parts[0], 1), max(parts[1], 0)) }
    }

    var text: String { "\(page).\(done)" }
  }

  func look(
    _ look: CatchUpLook, _ budget: inout RequestBudget
  ) async throws -> (CatchUpProgress, CatchUpFindings) {
    guard let owner = look.owner, let integration = look.integration else {
      return (look.unchanged(wait: interval), CatchUpFindings())
    }
    var found = CatchUpFindings()
    if look.kind == .project {
      let answer = try await project(look, owner, integration, &budget, &found)
      return (progress(look, nil, answer), found)
    }
    var position = Position(look.position)
    while true {
      guard budget.take() else { return (progress(look, position.text, .again), found) }
      switch await questions.repositories(position.page, of: integration) {
      case .answer(let page):
        for repository in page.items.dropFirst(position.done) {
          if repository.mayHaveOpen {
            let answer = try await self.repository(repository.fullName, owner, integration, &budget, &found)
            guard case .done = answer else { return (progress(look, position.text, answer), found) }
          }
          position.done += 1
        }
        guard page.next != nil else { return (progress(look, nil, .done), found) }
        (position.page, position.done) = (position.page + 1, 0)
      case .later(let message, let delay): return (progress(look, position.text, .failed(message, delay)), found)
      case .blocked(let message), .refused(let message):
        return (progress(look, nil, .failed(message, max(interval, Self.retry))), found)
      }
    }
  }

  /// How a part of a look ended.
  private enum Ending {
    case done
    /// The requests were used up.
    case again
    case failed(String, Duration?)
  }

  private func progress(_ look: CatchUpLook, _ position: String?, _ ending: Ending) -> CatchUpProgress {
    switch ending {
    case .done:
      CatchUpProgress(position: nil, doneUpTo: nil, begunAt: nil, wait: interval, isFinished: true)
    case .again:
      CatchUpProgress(position: position, doneUpTo: nil, begunAt: nil, wait: .zero, isFinished: false)
    case .failed(let message, let delay):
      CatchUpProgress(
        position: position, doneUpTo: nil, begunAt: nil, wait: delay ?? Self.retry, isFinished: false, error: message)
    }
  }

  // MARK: Lists

  private func repository(
    _ name: String, _ owner: Owner, _ integration: Integration, _ budget: inout RequestBudget,
    _ found: inout CatchUpFindings
  ) async throws -> Ending {
    for page in 1...Self.pageCountMax {
      guard budget.take() else { return .again }
      switch await questions.openPullRequests(page, of: name, integration) {
      case .answer(let list):
        let pulls = list.items.map { EventShape.github($0, installation: integration.installationId) }
        found.unreviewed += try await storeMissed(pulls, .github, owner, integration)
        if list.next == nil { return .done }
      case .later(let message, let delay): return .failed(message, delay)
      case .blocked(let message): return .failed(message, nil)
      // One repository that is not shown keeps no other from being looked at.
      case .refused: return .done
      }
    }
    return .done
  }

  private func project(
    _ look: CatchUpLook, _ owner: Owner, _ integration: Integration, _ budget: inout RequestBudget,
    _ found: inout CatchUpFindings
  ) async throws -> Ending {
    guard let id = Int64(look.subject) else { return .done }
    for page in 1...Self.pageCountMax {
      guard budget.take() else { return .again }
      switch await questions.openMergeRequests(page, ofProject: id, look.url ?? "", integration) {
      case .answer(let list):
        let requests = list.items.compactMap { request in
          EventShape.projectPath(request).map { EventShape.gitlab(request, project: id, path: $0) }
        }
        found.unreviewed += try await storeMissed(requests, .gitlab, owner, integration)
        if list.next == nil { return .done }
      case .later(let message, let delay): return .failed(message, delay)
      case .blocked(let message): return .failed(message, nil)
      case .refused(let message): return .failed(message, max(interval, Self.retry))
      }
    }
    return .done
  }

  // MARK: Events

  private func commit(_ event: JSONValue, _ platform: Platform) -> ListedCommit? {
    let pull = platform == .github ? event["pull_request"] : event["object_attributes"]
    let name = platform == .github ? event["repository"]?["full_name"] : event["project"]?["path_with_namespace"]
    let number = platform == .github ? pull?["number"] : pull?["iid"]
    let sha = platform == .github ? pull?["head"]?["sha"] : pull?["last_commit"]?["id"]
    guard let name = name?.string, case .integer(let number)? = number, let small = Int32(exactly: number),
      let sha = sha?.string
    else { return nil }
    return ListedCommit(repository: name, number: Int(small), sha: sha)
  }

  /// - Returns: how many had no review.
  private func storeMissed(
    _ events: [JSONValue], _ platform: Platform, _ owner: Owner, _ integration: Integration
  ) async throws -> Int {
    let listed = events.compactMap { event in commit(event, platform).map { (commit: $0, event: event) } }
    let missed = Set(try await store.missed(listed.map(\.commit), of: owner, platform))
    for (commit, event) in listed where missed.contains(commit) {
      let payload = String(decoding: try JSONCoding.encode(event), as: UTF8.self)
      _ = try await store.store(
        WebhookDelivery(
          platform: platform,
          id: "\(integration.id.lowercase)/catch-up/\(WebhookRoutes.digest(of: Data(payload.utf8)))",
          event: platform == .github ? "pull_request" : "Merge Request Hook", payload: payload,
          integrationID: integration.id))
    }
    return missed.count
  }
}
