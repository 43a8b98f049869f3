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
  /// Pages of a hundred pull requests of one repository: a bound for a list without an end.
  private static let pageCountMax = 500
  private static let retry: Duration = .seconds(60)

  /// Where a look goes on: the page of an installation's repositories, how many of it are done, and the page of the next one's pull requests. A
  /// project has the last one alone.
  private struct Position {
    var page = 1
    var done = 0
    var pulls = 1
    /// Whose pull requests they are: the list of repositories may have changed since.
    var repository: String?

    /// Earlier releases store `2.17`, and begin anew at what they cannot read.
    init(_ text: String?) {
      let words = (text ?? "").split(separator: " ")
      let parts = (words.first ?? "").split(separator: ".").compactMap { Int($0) }
      guard parts.count == 2 else { return }
      (page, done) = (max(parts[0], 1), max(parts[1], 0))
      guard words.count == 3, let number = Int(words[1]) else { return }
      (pulls, repository) = (max(number, 1), String(words[2]))
    }

    var text: String {
      guard let repository else { return "\(page).\(done)" }
      return "\(page).\(done) \(pulls) \(repository)"
    }

    /// The first page that is to be read. What was closed since has moved the rest of the list up, so the page before is read again.
    func first(of name: String) -> Int { repository == name ? max(pulls - 1, 1) : 1 }

    mutating func goOn(at number: Int, of name: String) {
      // Also a look of a single request gets on.
      (pulls, repository) = (repository == name ? max(pulls, number) : number, name)
    }

    mutating func endRepository() { (pulls, repository) = (1, nil) }
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
    /// Why a part of it was not looked at.
    var omission: String?

    /// A part was left out: the next look goes as far back as this one.
    mutating func leaveOut(_ look: CatchUpLook, _ reason: String? = nil) {
      doneUpTo = min(doneUpTo, look.doneUpTo ?? floor.moved(by: OpenPullRequests.overlap))
      omission = reason ?? omission
    }
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
    var position = Position(look.position)
    if look.kind == .project {
      let ending = try await project(look, &position, &walk, &budget)
      return (progress(look, walk, position.text, ending), walk.found)
    }
    while true {
      guard budget.take() else { return (progress(look, walk, position.text, .again), walk.found) }
      switch await questions.repositories(position.page, of: walk.integration) {
      case .answer(let page):
        for repository in page.items.dropFirst(position.done) {
          if repository.mayHaveOpen {
            let ending = try await self.repository(repository.fullName, look, &position, &walk, &budget)
            guard case .done = ending else { return (progress(look, walk, position.text, ending), walk.found) }
          }
          position.endRepository()
          position.done += 1
        }
        guard page.next != nil else { return (progress(look, walk, nil, .done), walk.found) }
        (position.page, position.done) = (position.page + 1, 0)
      case .later(let message, let delay):
        return (progress(look, walk, position.text, Ending(message, retryAfter: delay)), walk.found)
      case .blocked(let message), .refused(let message):
        return (progress(look, walk, nil, .refused(message)), walk.found)
      }
    }
  }

  /// How a part of a look ended.
  private enum Ending {
    case done
    /// The requests were used up.
    case again
    case failed(String, Duration?)
    /// The platform did not answer, or not as it should.
    case unanswered(String)
    case refused(String)

    init(_ message: String, retryAfter delay: Duration?) {
      self = delay.map { .failed(message, $0) } ?? .unanswered(message)
    }
  }

  private func progress(_ look: CatchUpLook, _ walk: Walk, _ position: String?, _ ending: Ending) -> CatchUpProgress {
    var progress = look.unchanged(wait: .zero)
    (progress.position, progress.begunAt) = (position, walk.doneUpTo)
    switch ending {
    case .done:
      progress = CatchUpProgress(
        position: nil, doneUpTo: walk.doneUpTo, begunAt: nil, wait: interval, isFinished: true, error: walk.omission)
    case .again: break
    case .failed(let message, let delay): (progress.wait, progress.error) = (delay ?? Self.retry, message)
    // From the beginning: it may be the position that is refused.
    case .refused(let message):
      (progress.position, progress.wait, progress.error) = (nil, max(interval, Self.retry), message)
    // Not sooner than what can be looked at.
    case .unanswered(let message):
      (progress.wait, progress.error, progress.isUnanswered) = (max(interval, Self.retry), message, true)
    }
    return progress
  }

  // MARK: Lists

  private func repository(
    _ name: String, _ look: CatchUpLook, _ position: inout Position, _ walk: inout Walk, _ budget: inout RequestBudget
  ) async throws -> Ending {
    let integration = walk.integration
    let ending = try await list(name, .github, look, &position, &walk, &budget) { page in
      await questions.openPullRequests(page, of: name, integration)
    } event: { pull in
      EventShape.github(pull, installation: integration.installationId)
    }
    guard case .refused = ending else { return ending }
    // One repository that is not shown keeps no other from being looked at.
    walk.leaveOut(look)
    return .done
  }

  private func project(
    _ look: CatchUpLook, _ position: inout Position, _ walk: inout Walk, _ budget: inout RequestBudget
  ) async throws -> Ending {
    guard let id = Int64(look.subject) else { return .done }
    let integration = walk.integration
    return try await list(look.subject, .gitlab, look, &position, &walk, &budget) { page in
      await questions.openMergeRequests(page, ofProject: id, look.url ?? "", integration)
    } event: { request in
      EventShape.projectPath(request).map { EventShape.gitlab(request, project: id, path: $0) }
    }
  }

  /// Reads the open ones of a repository or a project, those that have changed last first, down to those that have not changed since the floor.
  /// - Parameters:
  ///   - name: of the repository or project.
  ///   - platform: where it is.
  ///   - look: that it is a part of.
  ///   - position: where it goes on.
  ///   - walk: over all lists.
  ///   - budget: of the look.
  ///   - ask: gives a page.
  ///   - event: what is stored of one; nil if it cannot be read.
  private func list(
    _ name: String, _ platform: Platform, _ look: CatchUpLook, _ position: inout Position, _ walk: inout Walk,
    _ budget: inout RequestBudget, ask: (Int) async -> PlatformAnswer<PlatformPage<JSONValue>>,
    event: (JSONValue) -> JSONValue?
  ) async throws -> Ending {
    var page = position.first(of: name)
    while page <= Self.pageCountMax {
      guard budget.take() else { return .again }
      switch await ask(page) {
      case .answer(let list):
        let isThrough = try await storeMissed(list.items.compactMap(event), platform, &walk)
        if isThrough || list.next == nil { return .done }
        page += 1
        position.goOn(at: page, of: name)
      case .later(let message, let delay): return Ending(message, retryAfter: delay)
      case .blocked(let message): return .failed(message, nil)
      case .refused(let message): return .refused(message)
      }
    }
    walk.leaveOut(look, "\(name) has more than \(Self.pageCountMax) pages of open pull requests")
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
      let digest = WebhookDelivery.digest(of: Data("\(walk.doneUpTo) \(payload)".utf8))
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
