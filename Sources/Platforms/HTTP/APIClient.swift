internal import AsyncHTTPClient
internal import FoundationEssentials
internal import HTTPTrust
internal import NIOCore
internal import NIOHTTP1
internal import Primitives
internal import Resilience
internal import Reviews
internal import Spans

/// What is sent, but for a host's certificates.
struct APIRequest: Sendable {
  var url: String
  var method = HTTPMethod.GET
  var headers: HTTPHeaders
  var body: ByteBuffer?
}

/// One successful answer, whole.
struct APIAnswer: Sendable {
  /// Where it came from in the end, after redirects.
  var url: String
  var headers: HTTPHeaders
  var body: Data
}

/// An answer, and what it means.
private struct APIOutcome {
  var status: Int
  var answer: APIAnswer
  /// nil for a success.
  var fault: APIFault?
}

/// Calls of one API host: bounded in time and size, never following a link or a redirect to another host, never while the
/// caller's rate limit is used up.
struct APIClient: Sendable {
  /// The largest answer that is read, in bytes: a hundred comments of GitHub's 64 KiB fit.
  static let answerByteCountMax = 8 * 1024 * 1024
  /// GitHub redirects a renamed repository once; a chain longer than this is a loop.
  static let redirectCountMax = 3
  /// Items of a page: what both platforms give at the most, and what the lists are asked for.
  static let pageSize = 100

  let base: APIBase
  /// Made with `trust`.
  let httpClient: HTTPClient
  /// For one exchange: from looking for a connection to the last byte of the body.
  let timeout: Duration
  /// Of all exchanges of this process.
  let deadlines: TimedOperations<Int>
  let clock: PlatformClock
  /// Shared by all clients of the platforms in a process, as are the answers: see ``PlatformAccess``.
  let limits: RateLimits
  let answers: AnswerCache
  /// Which certificates a host may have.
  let trust: HTTPTrust
  /// Whether this is the API that it is taken for; nil if its 404 needs no evidence.
  var evidence: APIEvidence?

  /// The wall clock, as the host has it.
  func now() -> Date { clock.now(at: base.authority) }

  /// What is added to this machine's clock, in seconds; 0 if it is right.
  var clockCorrection: Double { clock.correction(at: base.authority) }

  /// The same client for another host.
  func at(_ base: APIBase) -> APIClient {
    APIClient(
      base: base, httpClient: httpClient, timeout: timeout, deadlines: deadlines, clock: clock, limits: limits,
      answers: answers,
      trust: trust)
  }

  /// Gets one resource, redirects of the same host included.
  /// - Parameter path: begins with a slash, percent-encoded, with its query.
  func get(_ path: String, as caller: APICaller) async throws(APIFault) -> APIAnswer {
    try await get(absolute: base.url(path), as: caller)
  }

  /// Gets all pages of a list in turn by their `Link` header.
  /// - Parameters:
  ///   - path: asks for ``pageSize`` items a page.
  ///   - pageCountMax: reading stops there; what follows is left out.
  ///   - visit: takes the items of one page, so that not all of them are in memory at once.
  /// - Returns: whether the list was read to its end.
  @discardableResult
  func forEachPage<Item: Decodable & Sendable>(
    of path: String, as caller: APICaller, _ item: Item.Type, pageCountMax: Int, visit: ([Item]) -> Void
  ) async throws(APIFault) -> Bool {
    var url = base.url(path)
    for _ in 0..<pageCountMax {
      let answer = try await get(absolute: url, as: caller)
      let items = try Self.decode([Item].self, from: answer.body)
      visit(items)
      guard let next = LinkHeader.target(of: "next", in: answer.headers[canonicalForm: "link"].joined(separator: ","))
      else {
        // A full last page stays the same when another begins behind it, and its tag with it.
        if items.count >= Self.pageSize { answers.forget(answer.url, for: caller.fingerprint) }
        return true
      }
      guard let sameHost = base.sameOrigin(next, from: answer.url) else {
        throw .malformed(message: "the next page is on another host")
      }
      url = sameHost
    }
    return false
  }

  /// Posts a value as JSON, redirects of the same host included.
  func post(_ path: String, as caller: APICaller, _ value: some Encodable) async throws(APIFault) -> APIAnswer {
    try await send(.POST, path, as: caller, value)
  }

  /// Sends a value as JSON. A redirect of the same host is followed with the same method and body: that is how a repository which was renamed
  /// is written to.
  func send(
    _ method: HTTPMethod, _ path: String, as caller: APICaller, _ value: some Encodable
  ) async throws(APIFault) -> APIAnswer {
    let body = ByteBuffer(bytes: try Self.encode(value))
    var url = base.url(path)
    for _ in 0...Self.redirectCountMax {
      var request = APIRequest(url: url, method: method, headers: caller.headers, body: body)
      request.headers.add(name: "content-type", value: "application/json")
      let outcome = try await send(request, as: caller)
      guard Self.isRedirect(outcome.status) else { return try await success(outcome) }
      url = try redirectTarget(of: outcome.answer)
    }
    throw Self.tooManyRedirects
  }

  private static func isRedirect(_ status: Int) -> Bool { [301, 302, 307, 308].contains(status) }
  private static let tooManyRedirects = APIFault.malformed(
    message: "it redirected more than \(redirectCountMax) times")

  private static func encode(_ value: some Encodable) throws(APIFault) -> Data {
    do {
      return try JSONEncoder().encode(value)
    } catch {
      throw .malformed(message: "what is to be sent is no JSON")
    }
  }

  /// Reads JSON. What it holds is not quoted in the fault.
  /// - Throws: `.failing` if the body is not JSON at all: then the API has not answered, but a page in front of it.
  static func decode<Value: Decodable>(_ type: Value.Type, from body: Data) throws(APIFault) -> Value {
    do {
      return try JSONCoding.decode(type, from: body, repairingText: true)
    } catch DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty {
      throw .failing(message: "the answer is not JSON: is a proxy in front of the API?")
    } catch {
      throw .malformed(message: "the answer is not the JSON that the API promises")
    }
  }
}

// MARK: One resource

extension APIClient {
  private func get(absolute url: String, as caller: APICaller) async throws(APIFault) -> APIAnswer {
    var url = url
    for _ in 0...Self.redirectCountMax {
      let kept = answers.answer(of: url, for: caller.fingerprint)
      var request = APIRequest(url: url, headers: caller.headers)
      if let kept { request.headers.replaceOrAdd(name: "if-none-match", value: kept.etag) }
      let outcome = try await send(request, as: caller)
      switch outcome.status {
      case 304 where kept != nil: return Self.answer(kept, confirmedBy: outcome.answer)
      case let status where Self.isRedirect(status): url = try redirectTarget(of: outcome.answer)
      default:
        let answer = try await success(outcome)
        keep(answer, for: caller)
        return answer
      }
    }
    throw Self.tooManyRedirects
  }

  private func keep(_ answer: APIAnswer, for caller: APICaller) {
    guard let etag = answer.headers.first(name: "etag") else {
      return answers.forget(answer.url, for: caller.fingerprint)
    }
    let links = answer.headers["link"]
    answers.keep(
      .init(etag: etag, link: links.isEmpty ? nil : links.joined(separator: ", "), body: answer.body), of: answer.url,
      for: caller.fingerprint)
  }

  private static func answer(_ kept: AnswerCache.Kept?, confirmedBy answer: APIAnswer) -> APIAnswer {
    var answer = answer
    answer.body = kept?.body ?? Data()
    if !answer.headers.contains(name: "link"), let link = kept?.link { answer.headers.add(name: "link", value: link) }
    return answer
  }

  /// GitHub says it in the `Location` header, and once more as the body's `url`.
  private func redirectTarget(of answer: APIAnswer) throws(APIFault) -> String {
    struct Moved: Decodable {
      var url: String
    }
    let location =
      answer.headers.first(name: "location")
      ?? (try? JSONCoding.decode(Moved.self, from: answer.body, repairingText: true))?.url
    guard let location else { throw .malformed(message: "it redirected without saying where") }
    guard let target = base.sameOrigin(location, from: answer.url) else {
      // A login page, or a proxy that has moved: not what the API says about this resource.
      throw .failing(message: "it redirected to another host, which is not followed")
    }
    return target
  }

  private func success(_ outcome: APIOutcome) async throws(APIFault) -> APIAnswer {
    guard let fault = outcome.fault else {
      if let evidence, !evidence.isComplete, APIEvidence.isAPI(success: outcome.answer.body) { evidence.complete() }
      return outcome.answer
    }
    if fault == .missing { try await requireEvidence(from: outcome.answer) }
    throw fault
  }
}

// MARK: Evidence of the API

extension APIClient {
  /// Asks for what the API shows to everyone, unless there is evidence already.
  /// - Throws: `.failing` if this is not the API: then its 404 is the URL's fault, for all reviews alike.
  private func requireEvidence(from answer: APIAnswer) async throws(APIFault) {
    guard let evidence, !evidence.isComplete else { return }
    if !APIEvidence.isAPI(missing: answer.headers, answer.body) {
      let request = APIRequest(url: base.url("/meta"), headers: GitHubSource.caller(nil).headers)
      let (status, meta) = try await exchange(request)
      switch APIFault(status: status, headers: meta.headers, body: meta.body, now: now()) {
      case nil where APIEvidence.isAPI(success: meta.body), .unauthorized?, .refused?, .rateLimited?: break
      case .failing(let message)?: throw .failing(message: message)
      default:
        throw .failing(
          message: "\(base.url("")) answers 404 to everything, so it is not GitHub's API: check BATON_GITHUB_API_URL")
      }
    }
    evidence.complete()
  }
}

// MARK: What is optional

extension APIClient {
  /// Runs calls until half of the time to a deadline has passed; nil for no bound.
  /// - Returns: `.failing` if they were not done by then.
  func run<Value: Sendable>(
    untilHalfOf deadline: ContinuousClock.Instant?, _ body: @escaping @Sendable () async -> Result<Value, APIFault>
  ) async -> Result<Value, APIFault> {
    guard let deadline else { return await body() }
    let start = ContinuousClock.now
    let time = (deadline - start) / 2
    let (result, cancellation) = await deadlines.run(until: start + time, orPhase: nil, body)
    guard case .failure = result, cancellation == .deadline else { return result }
    return .failure(.failing(message: "it could not be read within \(time)"))
  }
}

// MARK: One exchange

extension APIClient {
  /// Sends a request, unless the caller's limit is used up, and notes what the answer says about the limit.
  private func send(_ request: APIRequest, as caller: APICaller) async throws(APIFault) -> APIOutcome {
    if let wait = limits.wait(of: caller.account, at: base.authority, now: now()) {
      throw .rateLimited(retryAfter: wait)
    }
    let (status, answer) = try await exchange(request)
    clock.learn(from: answer.headers, at: base.authority)
    let now = now()
    limits.note(answer.headers, of: caller.account, at: base.authority, now: now)
    let fault = APIFault(status: status, headers: answer.headers, body: answer.body, now: now)
    if let delay = RateLimitDelay.afterAnswer(fault, headers: answer.headers, now: now) {
      limits.hold(caller.account, at: base.authority, for: delay, now: now)
    }
    return APIOutcome(status: status, answer: answer, fault: fault)
  }

  /// One exchange under the deadline: cancelled then, which closes its connection.
  private func exchange(_ request: APIRequest) async throws(APIFault) -> (status: Int, answer: APIAnswer) {
    try await withChildSpan(.callPlatform, base.attributes(of: request)) { span throws(APIFault) in
      let exchanged = try await answer(to: request)
      span?.note(status: exchanged.status)
      return exchanged
    }
  }

  private func answer(to request: APIRequest) async throws(APIFault) -> (status: Int, answer: APIAnswer) {
    let (result, cancellation) = await deadlines.run(until: .now + timeout, orPhase: nil) {
      do {
        return Result<(status: Int, answer: APIAnswer), any Error>.success(try await perform(request))
      } catch {
        return .failure(error)
      }
    }
    switch result {
    case .success(let exchanged): return exchanged
    case .failure(let error):
      switch cancellation {
      case .deadline: throw .failing(message: "it did not answer within \(timeout)")
      case .caller, .phase: throw .cancelled
      case nil: if Task.isCancelled { throw .cancelled }
      }
      guard
        let fault = await trust.fault(error, host: base.host, port: base.port ?? (base.scheme == "https" ? 443 : 80))
      else { throw APIFault(transport: error) }
      throw .unreachable(message: fault)
    }
  }

  /// By the client's interface of futures, which hands a whole answer over at once. The one of `async` wakes the caller for the head and for
  /// each piece of the body, and has a timer of its own for each call.
  private func perform(_ request: APIRequest) async throws -> (status: Int, answer: APIAnswer) {
    let sent = try HTTPClient.Request(
      url: request.url, method: request.method, headers: request.headers, body: request.body.map { .byteBuffer($0) },
      tlsConfiguration: base.scheme == "https" ? trust.replacement : nil)
    let call = httpClient.execute(
      request: sent, delegate: ResponseAccumulator(request: sent, maxBodySize: Self.answerByteCountMax))
    let response = try await withTaskCancellationHandler {
      try await call.get()
    } onCancel: {
      call.cancel()
    }
    let body = response.body.map { Data($0.readableBytesView) } ?? Data()
    return (Int(response.status.code), APIAnswer(url: request.url, headers: response.headers, body: body))
  }
}
