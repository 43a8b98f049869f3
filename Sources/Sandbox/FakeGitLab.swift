internal import NIOCore

/// GitLab's side of the stand-in: the recorded merge request, and others made up out of it.
struct FakeGitLab: Sendable {
  /// The user of a token that no test has set.
  static let userID = 2_453

  let state: FakeState
  let api: String

  func answer(_ call: FakeCall, path: String, query: [String: String]) -> FakeAnswer {
    switch call.route {
    case .gitlabMergeRequest: mergeRequest(call)
    case .gitlabUser:
      FakeAnswer(json: #"{"id":\#(Self.userID),"username":"project_278964_bot","name":"baton","state":"active"}"#)
    case .gitlabDiffs: list(call, path: path, query: query, recorded: Self.diffs)
    default: list(call, path: path, query: query, recorded: [])
    }
  }

  private static let recordedProject = "278964"
  private static let recordedPath = "gitlab-org/gitlab-ee"
  private static let recorded = BodyTemplate(Recording.mergeRequest14656.body)
  private static let diffs = JSONText.elements(JSONText.compact(Recording.mergeRequestDiffs.body))

  private static let madeUp = BodyTemplate(
    Recording.mergeRequest14656.body,
    gaps: [
      .init("gitlab-org/gitlab-ee", .repository), .init("14656", .number, prefix: #""iid":"#),
      .init("14656", .number, prefix: "/"), .init("33092005", .id), .init("Add deletion support for designs", .title),
      .init("delete-designs-v2", .headRef), .init("8e0b45049b6253b8984cde9241830d2851168142", .headSha),
      .init("alexkalderimis", .author),
    ])

  private func mergeRequest(_ call: FakeCall) -> FakeAnswer {
    let isRecorded = [Self.recordedProject, Self.recordedPath].contains(call.repository) && call.number == 14_656
    let path = call.repository.contains("/") ? call.repository : "made-up/project-\(call.repository)"
    let request = MadeUpPullRequest(repository: path, number: call.number)
    let body = (isRecorded ? Self.recorded : Self.madeUp).fill([
      .api: api, .repository: path, .number: String(call.number), .id: String(request.id), .title: request.title,
      .headRef: request.headRef, .headSha: request.headSha, .author: request.author,
    ])
    let fields = state.withValues { $0.fields["\(call.repository)/\(call.number)"] }
    return FakeAnswer(body: fields.map { JSONFields.replacing($0, in: body) } ?? body)
  }

  private func list(
    _ call: FakeCall, path: String, query: [String: String], recorded: [String]
  ) -> FakeAnswer {
    let key = FakeState.CommentKey(route: call.route, repository: call.repository, number: call.number)
    let elements = state.withValues { $0.comments[key] } ?? recorded
    let page = FakePage(query: query, sizeDefault: 20)
    var answer = FakeAnswer(json: "[\(page.slice(elements).joined(separator: ","))]")
    answer.headers["link"] = page.link(url: api + path, count: elements.count)
    return answer
  }
}
