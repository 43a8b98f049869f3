internal import FoundationEssentials
internal import Platforms
internal import Primitives
internal import ReviewStore
internal import Reviews

/// Looks through the open pull requests of an installation or a project, and stores an event for each commit that has neither a review nor a
/// delivery that says why not.
///
/// Only pull requests that have changed since the last look that is through, as those before were looked at then. The first look has a bound
/// instead: an upgrade, or a new installation, starts no flood of reviews of old pull requests.
struct OpenPullRequests {
  let store: ReviewStore
  let questions: PlatformQuestions
  let interval: Duration
  /// How far the first look goes back.
  let age: Duration

  /// Further back than the last look: the platform's clock is another one, and a list may be late.
  private static let overlap: Duration = .seconds(3_600)
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

  /// What one walk over the lists knows.
  private struct Walk {
    let owner: Owner
    let integration: Integration
    /// Pull requests that have not changed since then are not looked at.
    let floor: Timestamp
    /// Up to when everything will have been looked at if the walk comes to its end.
    var doneUpTo: Timestamp
    var found = CatchUpFindings()
  }

  private func walk(_ look: CatchUpLook) async throws -> Walk? {
    guard let owner = look.owner, let integration = look.integration else { return nil }
    let begunAt = look.position == nil ? nil : look.begunAt
    let now = try await store.now()
    let first = look.since ?? (age > .zero ? now.moved(by: .zero - age) : .negativeInfinity)
    return Walk(
      owner: owner, integration: integration, floor: (look.doneUpTo ?? first).moved(by: .zero - Self.overlap),
      doneUpTo: begunAt ?? now)
  }

  func look(
    _ look: CatchUpLook, _ budget: inout RequestBudget
  ) async throws -> (CatchUpProgress, CatchUpFindings) {
    guard var walk = try await walk(look) else { return (look.unchanged(wait: interval), CatchUpFindings()) }
    if look.kind == .project {
      let ending = try await project(look, &walk, &budget)
      return (progress(look, walk, nil, ending), walk.found)
    }
    var position = Position(look.position)
    while true {
      guard budget.take() else { return (progress(look, walk, position.text, .again), walk.found) }
      switch await questions.repositories(position.page, of: walk.integration) {
      case .answer(let page):
        for repository in page.items.dropFirst(position.done) {
          if repository.mayHaveOpen {
            let ending = try await self.repository(repository.fullName, look, &walk, &budget)
            guard case .done = ending else { return (progress(look, walk, position.text, ending), walk.found) }
          }
          position.done += 1
        }
        guard page.next != nil else { return (progress(look, walk, nil, .done), walk.found) }
        (position.page, position.done) = (position.page + 1, 0)
      case .later(let message, let delay):
        return (progress(look, walk, position.text, .failed(message, delay)), walk.found)
      case .blocked(let message), .refused(let message):
        return (progress(look, walk, nil, .failed(message, max(interval, Self.retry))), walk.found)
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

  private func progress(_ look: CatchUpLook, _ walk: Walk, _ position: String?, _ ending: Ending) -> CatchUpProgress {
    var progress = look.unchanged(wait: .zero)
    (progress.position, progress.begunAt) = (position, walk.doneUpTo)
    switch ending {
    case .done:
      progress = CatchUpProgress(
        position: nil, doneUpTo: walk.doneUpTo, begunAt: nil, wait: interval, isFinished: true)
    case .again: break
    case .failed(let message, let delay): (progress.wait, progress.error) = (delay ?? Self.retry, message)
    }
    return progress
  }

  // MARK: Lists

  private func repository(
    _ name: String, _ look: CatchUpLook, _ walk: inout Walk, _ budget: inout RequestBudget
  ) async throws -> Ending {
    for page in 1...Self.pageCountMax {
      guard budget.take() else { return .again }
      switch await questions.openPullRequests(page, of: name, walk.integration) {
      case .answer(let list):
        let pulls = list.items.map { EventShape.github($0, installation: walk.integration.installationId) }
        let isThrough = try await storeMissed(pulls, .github, &walk)
        if isThrough || list.next == nil { return .done }
      case .later(let message, let delay): return .failed(message, delay)
      case .blocked(let message): return .failed(message, nil)
      // One repository that is not shown keeps no other from being looked at. If it is shown again, the next look goes as far back as this one.
      case .refused:
        walk.doneUpTo = min(walk.doneUpTo, look.doneUpTo ?? walk.floor.moved(by: Self.overlap))
        return .done
      }
    }
    return .done
  }

  private func project(_ look: CatchUpLook, _ walk: inout Walk, _ budget: inout RequestBudget) async throws -> Ending {
    guard let id = Int64(look.subject) else { return .done }
    for page in 1...Self.pageCountMax {
      guard budget.take() else { return .again }
      switch await questions.openMergeRequests(page, ofProject: id, look.url ?? "", walk.integration) {
      case .answer(let list):
        let requests = list.items.compactMap { request in
          EventShape.projectPath(request).map { EventShape.gitlab(request, project: id, path: $0) }
        }
        let isThrough = try await storeMissed(requests, .gitlab, &walk)
        if isThrough || list.next == nil { return .done }
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
    return ListedCommit(
      repository: name, number: Int(small), sha: sha, updatedAt: LenientTime.read(pull?["updated_at"]))
  }

  /// Stores an event for each pull request that has changed since the floor and was not judged.
  /// - Returns: whether the list has come to pull requests that have not changed since.
  private func storeMissed(
    _ events: [JSONValue], _ platform: Platform, _ walk: inout Walk
  ) async throws -> Bool {
    let listed = events.compactMap { event in commit(event, platform).map { (commit: $0, event: event) } }
    let recent = listed.filter { $0.commit.updatedAt.map { $0 >= walk.floor } ?? true }
    let missed = Set(
      try await store.missed(recent.map(\.commit), of: walk.owner, platform, integration: walk.integration.id))
    for (commit, event) in recent where missed.contains(commit) {
      let payload = String(decoding: try JSONCoding.encode(event), as: UTF8.self)
      // Of this walk: what the next one finds missing once more is judged once more.
      let digest = WebhookRoutes.digest(of: Data("\(walk.doneUpTo) \(payload)".utf8))
      _ = try await store.store(
        WebhookDelivery(
          platform: platform, id: "\(walk.integration.id.lowercase)/catch-up/\(digest)",
          event: platform == .github ? "pull_request" : "Merge Request Hook", payload: payload,
          integrationID: walk.integration.id))
    }
    walk.found.unreviewed += missed.count
    return recent.count < listed.count
  }
}
