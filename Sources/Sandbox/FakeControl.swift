internal import FoundationEssentials
internal import HTTPTypes
internal import Primitives
internal import Reviews

/// The way to set the stand-in from outside its process: `/_control`.
///
/// - `GET /_control`: the counters, and what is set.
/// - `POST /_control`: `{"latencyMs":[5,20],"faults":[…],"rateLimit":{"count":100,"resetAt":1800000000},"clear":true}`; every
///   field may be missing. `clear` empties faults,
///   counters and what was set before the rest is applied; faults are added, in the form of ``FakeFault``.
///   `{"renamed":{"acme/shop":"acme/store"},"suspended":[1],"openPullRequests":{"acme/shop":[…]},"permissions":{"ann":"write"},
///   "hook":{"url":"http://127.0.0.1:8080/webhooks/github","secret":"…"}}`: what the platform is like, and where its webhooks go.
/// - `POST /_control/deliver`: delivers a webhook once, as ``FakeEvents/Wanted`` says: `{"event":"merge_group","repository":"acme/shop","number":17}`.
///   What failed is listed as GitHub lists it, and can be delivered again.
/// - `GET /_control/feedback`: what was written to pull requests, in the form of ``FakeFeedback``.
/// - `GET /_control/pull-requests`: what a demo can submit, in the form of `POST /api/reviews` but for the owner.
struct FakeControl: Sendable {
  private static let path = "/_control"

  private struct Request: Decodable {
    /// One number or a range of two, in milliseconds.
    var latencyMs: Latency?
    var faults: [FakeFault]?
    var rateLimit: Limit?
    var clear: Bool?
    /// New names of repositories by old ones.
    var renamed: [String: String]?
    /// All installations that are suspended.
    var suspended: [Int]?
    var openPullRequests: [String: [JSONValue]]?
    var permissions: [String: String]?
    var hook: Hook?
  }

  private struct Hook: Decodable {
    var url: String
    var secret: String
  }

  /// Of GitHub's calls, for each token.
  private struct Limit: Decodable {
    var count: Int
    /// Seconds since 1970.
    var resetAt: Int
  }

  private struct Latency: Decodable {
    var range: ClosedRange<Duration>

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      let bounds = try (try? container.decode(Double.self)).map { [$0] } ?? container.decode([Double].self)
      guard let low = bounds.first, let high = bounds.last, low >= 0, low <= high, high <= 600_000 else {
        throw DecodingError.dataCorruptedError(in: container, debugDescription: "latencyMs: a number, or [low, high]")
      }
      range = .milliseconds(low) ... .milliseconds(high)
    }
  }

  private struct Report: Encodable {
    var calls: [String: Int]
    var callCount: Int
    var faults: [FakeFault]
  }

  private struct Submittable: Encodable {
    var platform: Platform
    var platformProjectId: Int64?
    var repoFullName, prUrl, prTitle, prAuthor, baseRef, headRef, headSha: String
    var prNumber: Int
    var isOpen, isRecorded: Bool
  }

  let state: FakeState

  /// nil if the path is not the control's.
  func answer(method: HTTPRequest.Method, path: String, body: [UInt8]) async -> FakeAnswer? {
    switch (method, path) {
    case (.post, Self.path + "/deliver"): return await deliver(body)
    case (.get, Self.path): return report()
    case (.get, Self.path + "/pull-requests"): return pullRequests()
    case (.get, Self.path + "/feedback"): return Self.json(state.withValues { $0.feedback })
    case (.post, Self.path), (.put, Self.path): return apply(body)
    default: return path.hasPrefix(Self.path) ? .notFound : nil
    }
  }

  private func apply(_ body: [UInt8]) -> FakeAnswer {
    do {
      let request = try JSONCoding.decode(Request.self, from: body)
      state.withValues { values in
        if request.clear == true { values = FakeState.Values() }
        if let latency = request.latencyMs { values.latency = latency.range }
        values.faults += request.faults ?? []
        if let limit = request.rateLimit { values.rateLimit = .init(count: limit.count, resetAt: limit.resetAt) }
        values.renamed.merge(request.renamed ?? [:]) { $1 }
        if let suspended = request.suspended { values.suspended = Set(suspended) }
        values.permissions.merge(request.permissions ?? [:]) { $1 }
        for (repository, pulls) in request.openPullRequests ?? [:] {
          values.openPulls[repository] = pulls.compactMap { pull in
            (try? JSONEncoder().encode(pull)).map { String(decoding: $0, as: UTF8.self) }
          }
        }
        if let hook = request.hook { values.receiveHook = FakePlatform.hook(hook.url, hook.secret) }
      }
      return report()
    } catch {
      return FakeAnswer(status: 400, json: #"{"error":"expected latencyMs, faults, rateLimit and clear as JSON"}"#)
    }
  }

  private struct Delivered: Encodable {
    /// The receiver's answer; 0 for none.
    var status: Int
  }

  private func deliver(_ body: [UInt8]) async -> FakeAnswer {
    guard let wanted = try? JSONCoding.decode(FakeEvents.Wanted.self, from: Data(body)),
      let event = FakeEvents.body(wanted)
    else {
      return FakeAnswer(status: 400, json: #"{"error":"expected an event, and a body unless it can be made up"}"#)
    }
    await FakeHooks(state: state, api: "").deliver(
      wanted.event, event, guid: UUID().uuidString, isRedelivery: false)
    return Self.json(Delivered(status: state.withValues { $0.deliveries.last?.status ?? 0 }))
  }

  private func report() -> FakeAnswer {
    let (counts, faults) = state.withValues { ($0.callCounts, $0.faults) }
    let calls = Dictionary(uniqueKeysWithValues: counts.map { ($0.key.rawValue, $0.value) })
    return Self.json(Report(calls: calls, callCount: counts.values.reduce(0, +), faults: faults))
  }

  private func pullRequests() -> FakeAnswer {
    Self.json(
      FakePullRequest.known.map {
        Submittable(
          platform: $0.platform, platformProjectId: $0.projectID, repoFullName: $0.repository, prUrl: $0.url,
          prTitle: $0.title, prAuthor: $0.author, baseRef: $0.baseRef, headRef: $0.headRef, headSha: $0.headSha,
          prNumber: $0.number, isOpen: $0.isOpen, isRecorded: $0.isRecorded)
      })
  }

  private static func json(_ value: some Encodable) -> FakeAnswer {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    guard let data = try? encoder.encode(value) else { return FakeAnswer(status: 500, json: "{}") }
    return FakeAnswer(json: String(decoding: data, as: UTF8.self))
  }
}
