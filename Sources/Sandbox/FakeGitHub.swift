internal import FoundationEssentials
internal import NIOCore

/// GitHub's side of the stand-in: recorded pull requests as they were, all others made up out of a recorded one.
struct FakeGitHub: Sendable {
  let state: FakeState
  /// The address of the stand-in as the caller knows it: what links begin with.
  let api: String
  /// The `Authorization` header: whose rate limit it is.
  let authorization: String

  func answer(_ call: FakeCall, path: String, query: [String: String]) -> FakeAnswer {
    if !call.isByID && call.repository == Self.renamed { return redirect(path, query) }
    let call = resolved(call)
    switch call.route {
    case .githubMeta: return FakeAnswer(json: #"{"verifiable_password_authentication":false}"#)
    case .githubPull: return pullRequest(call)
    case .githubRepository: return FakeAnswer(body: Self.repository.fill(values(call)))
    case .githubInstallation: return FakeAnswer(.installation, api: api)
    default: return list(call, path: path, query: query)
    }
  }
}

// MARK: Recorded

extension FakeGitHub {
  private static let recorded: [String: BodyTemplate] = Dictionary(
    uniqueKeysWithValues: [Recording.pull1, .pull2, .pull3, .pull4, .pull31, .pull1171, .helloWorldPull2]
      .map { ($0.path, BodyTemplate($0.body)) })

  private static let madeUp = BodyTemplate(
    Recording.pull1171.body,
    gaps: [
      .init("Ferada/PyGithub", .headRepository), .init("PyGithub/PyGithub", .repository), .init("Ferada", .author),
      .init("PyGithub", .owner, prefix: #""login":""#, suffix: "\""),
      .init("PyGithub", .name, prefix: #""name":""#, suffix: "\""),
      .init("PyGithub", .owner, prefix: "/users/"), .init("297582636", .id),
      .init("1171", .number, prefix: #""number":"#),
      .init("1171", .number, prefix: "/"), .init("Fix small issues for Python 3 compatibility.", .title),
      .init("small-fixes-for-python-3", .headRef), .init("14c79c13250edd1155af42f83b76a913faf58e9d", .headSha),
    ])

  private static let repository = BodyTemplate(
    Recording.repository.body,
    gaps: [
      .init("PyGithub/PyGithub", .repository), .init("PyGithub", .owner, prefix: #""login":""#, suffix: "\""),
      .init("PyGithub", .name, prefix: #""name":""#, suffix: "\""),
    ])

  private static let commentGaps: [BodyTemplate.Gap] = [
    .init("PyGithub/PyGithub", .repository), .init("31", .number, prefix: "/pulls/"),
    .init("31", .number, prefix: "/pull/"),
    .init("31", .number, prefix: "/issues/"), .init("8a4f306d4b223682dd19410d4a9150636ebe4206", .headSha),
  ]

  private static func elements(_ recording: Recording) -> [BodyTemplate] {
    JSONText.elements(JSONText.compact(recording.body)).map { BodyTemplate($0, gaps: commentGaps) }
  }

  private static let issueComments = elements(.issue31Comments)
  private static let reviewComments = elements(.pull31Comments)
  private static let files = elements(.pull31Files)
  private static let commits = elements(.pull31Commits)

  private static let renamed = "ReDASers/Phishing-Detection"
  private static let renamedID = "146139403"
  private static let renamedTo = "ReDASers/PhishBench"
}

// MARK: Answers

extension FakeGitHub {
  /// What a renamed repository answers, whatever is asked of it.
  private func redirect(_ path: String, _ query: [String: String]) -> FakeAnswer {
    let rest = path.dropFirst("/repos/\(Self.renamed)".count)
    let parameters = query.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: "&")
    let target = "\(api)/repositories/\(Self.renamedID)\(rest)" + (parameters.isEmpty ? "" : "?\(parameters)")
    var answer = FakeAnswer(
      status: 301,
      json:
        #"{"message":"Moved Permanently","url":"\#(target)","documentation_url":"https://docs.github.com/v3/#http-redirects"}"#
    )
    answer.headers["location"] = target
    return answer
  }

  private func resolved(_ call: FakeCall) -> FakeCall {
    guard call.isByID else { return call }
    var call = call
    call.repository = call.repository == Self.renamedID ? Self.renamedTo : "made-up/repository-\(call.repository)"
    return call
  }

  private func values(_ call: FakeCall) -> [BodyTemplate.Value: String] {
    let pull = MadeUpPullRequest(repository: call.repository, number: call.number)
    let parts = call.repository.split(separator: "/", maxSplits: 1).map(String.init)
    return [
      .api: api, .repository: call.repository, .headRepository: call.repository, .owner: parts[0],
      .name: parts.count > 1 ? parts[1] : parts[0], .author: pull.author, .id: String(pull.id),
      .number: String(call.number), .title: pull.title, .headRef: pull.headRef, .headSha: pull.headSha,
    ]
  }

  private func pullRequest(_ call: FakeCall) -> FakeAnswer {
    let recorded = Self.recorded["/repos/\(call.repository)/pulls/\(call.number)"]
    let body = (recorded ?? Self.madeUp).fill(values(call))
    let fields = state.withValues { $0.fields["\(call.repository)/\(call.number)"] }
    return FakeAnswer(headers: rateLimitHeaders(), body: fields.map { JSONFields.replacing($0, in: body) } ?? body)
  }

  private func list(_ call: FakeCall, path: String, query: [String: String]) -> FakeAnswer {
    let key = FakeState.CommentKey(route: call.route, repository: call.repository, number: call.number)
    let page = FakePage(query: query, sizeDefault: 30)
    let values = values(call)
    var body = ByteBuffer(string: "[")
    let count: Int
    if let comments = state.withValues({ $0.comments[key] }) {
      count = comments.count
      body.writeString(page.slice(comments).joined(separator: ","))
    } else {
      let templates = Self.templates(of: call.route)
      count = templates.count
      for (index, template) in page.slice(templates).enumerated() {
        if index > 0 { body.writeString(",") }
        template.write(values, to: &body)
      }
    }
    body.writeString("]")
    var headers = rateLimitHeaders()
    headers["link"] = page.link(url: api + path, count: count)
    return FakeAnswer(headers: headers, body: body)
  }

  private static func templates(of route: FakeRoute) -> [BodyTemplate] {
    switch route {
    case .githubIssueComments: issueComments
    case .githubReviewComments: reviewComments
    case .githubFiles: files
    case .githubCommits: commits
    default: []
    }
  }

  private func rateLimitHeaders() -> [String: String] {
    let limit = state.rateLimit(of: authorization, spending: true)
    return [
      "x-ratelimit-limit": String(limit?.count ?? 5000),
      "x-ratelimit-remaining": limit.map { String(max($0.count - $0.used, 0)) } ?? "4999",
      "x-ratelimit-reset": String(limit?.resetAt ?? Int(Date().timeIntervalSince1970) + 3600),
    ]
  }

  /// The answer once the limit is used up; nil before.
  var limited: FakeAnswer? {
    guard let limit = state.rateLimit(of: authorization, spending: false), limit.used >= limit.count else { return nil }
    return FakeAnswer(
      status: 403,
      headers: [
        "x-ratelimit-limit": String(limit.count), "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": String(limit.resetAt),
      ],
      json:
        #"{"message":"API rate limit exceeded","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"}"#
    )
  }
}
