import FoundationEssentials
import Logging
import NIOHTTP1
import Primitives
import Reviews
import WorkerAPI

@testable import BatonServer
@testable import Platforms
@testable import WorkerClient

/// A status, header fields, an empty line, and the body: what GitHub, GitLab, PostHog or a worker may answer to any question.
func fuzzAnswer(_ bytes: [UInt8]) throws {
  var input = FuzzInput(bytes)
  let status = Int(input.line().prefix(3)) ?? 200
  let headers = HTTPHeaders(input.fields().map { ($0.name, $0.value) })
  try readWorkersAnswer(status, headers, input.bytes)
  try readPlatformsAnswer(status, headers, input.data)
}

// MARK: Workers

private let reviewID = UUID(uuid: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16))

private let worker = try? WorkerClient(
  baseURL: "http://127.0.0.1:9", token: Secret("worker-token"), timeout: .seconds(1), connectionMax: 1,
  logger: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() })

private func readWorkersAnswer(_ status: Int, _ headers: HTTPHeaders, _ body: [UInt8]) throws {
  guard let worker else { return }
  for isComplete in [true, false] {
    let result = ExchangeResult.answered(
      ExchangeAnswer(status: status, headers: headers, body: body, isComplete: isComplete))
    let outcome = worker.outcome(of: result, reviewID: reviewID)
    if case .dispatched(let response) = outcome {
      try promise(response.reviewId == reviewID && isComplete, "another review counts as dispatched")
    }
    _ = worker.statusAnswer(of: result, reviewID: reviewID).judged(hasAnswered: true)
    _ = worker.cancelAnswer(of: result)
    try promise(!worker.message(for: result).contains("worker-token"), "a message shows the worker's token")
  }
  _ = try? JSONCoding.decode(RunEvents.self, from: body)
}

// MARK: Platforms

private let base = APIBase("https://api.example.com/v3")
private let now = Date(timeIntervalSince1970: 1_790_000_000)

private func readPlatformsAnswer(_ status: Int, _ headers: HTTPHeaders, _ body: Data) throws {
  let fault = APIFault(status: status, headers: headers, body: body, now: now)
  let delays = [
    RateLimitDelay.of(headers, now: now),
    RateLimitDelay.afterAnswer(fault, headers: headers, now: now),
  ]
  for delay in delays.compactMap({ $0 }) {
    try promise((.seconds(1)...RateLimitDelay.max).contains(delay), "an account waits for \(delay)")
    let limits = RateLimits()
    limits.hold("a", at: "b", for: delay, now: now)
    _ = (limits.wait(of: "a", at: "b", now: now), limits.usedUp(now: now))
  }
  let clock = PlatformClock({ now })
  clock.learn(from: headers, at: "b")
  _ = clock.now(at: "b")
  followLinks(headers)
  _ = (APIEvidence.isAPI(success: body), APIEvidence.isAPI(missing: headers, body))
  if case .refused(let message)? = fault { _ = GitLabTokenCalls.dayBefore(theLimitIn: message) }
  readBodies(body)
}

private func followLinks(_ headers: HTTPHeaders) {
  let next = LinkHeader.target(of: "next", in: headers[canonicalForm: "link"].joined(separator: ","))
  for target in [next, headers.first(name: "location")].compactMap({ $0 }) {
    _ = base?.sameOrigin(target, from: "https://api.example.com/v3/repos/acme/shop?page=1")
    _ = PlatformQuestions.parameter("cursor", of: target)
  }
}

private func readBodies(_ body: Data) {
  read(GitHubWire.PullRequest.self, body)
  read([GitHubWire.IssueComment].self, body)?.forEach { _ = LenientTime.read($0.updated_at) }
  read(GitLabWire.MergeRequest.self, body)
  read([GitLabWire.Discussion].self, body)
  read(PostHogFlags.FlagsResponse.self, body).map { _ = $0.verdict }
  if let user = read(GitLabWire.User.self, body) { _ = user.isBot }
  if let token = read(GitLabWire.AccessToken.self, body) {
    _ = (token.expires_at.flatMap(GitLabTokenCalls.date).map(GitLabTokenCalls.day), LenientTime.read(token.created_at))
  }
  addComments(body)
  if let pull = read(JSONValue.self, body) { readListed(pull) }
}

@discardableResult
private func read<Value: Decodable>(_ type: Value.Type, _ body: Data) -> Value? {
  try? APIClient.decode(type, from: body)
}

private func addComments(_ body: Data) {
  var comments = InlineComments()
  for comment in read([GitHubWire.ReviewComment].self, body) ?? [] {
    comments.add(
      path: comment.path, line: comment.line ?? comment.original_line, text: comment.body ?? "",
      isOutdated: comment.position == nil)
  }
}

/// An open pull request, as the catch-up reads it.
private func readListed(_ pull: JSONValue) {
  let path = EventShape.projectPath(pull)
  let events = [
    (Platform.github, "pull_request", EventShape.github(pull, installation: "7")),
    (.gitlab, "Merge Request Hook", EventShape.gitlab(pull, project: nil, path: path ?? "acme/shop")),
  ]
  for (platform, name, event) in events {
    guard let json = try? JSONCoding.encode(event) else { continue }
    _ = try? WebhookEvent(
      name, payload: json,
      in: WebhookContext(
        owner: Owner(type: .org, id: "acme"), platform: platform, integrationID: reviewID,
        receivedAt: Timestamp(microseconds: 0)))
  }
}
