internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import ServiceLifecycle

/// Answers the stand-in's calls: the control first, then faults and latency, then the platform that the path belongs to.
struct FakeResponder: HTTPResponder {
  typealias Context = BasicRequestContext

  /// The largest body that is read, in bytes.
  private static let bodyByteCountMax = 1_048_576

  let state: FakeState

  func respond(to request: Request, context: Context) async throws -> Response {
    let path = request.uri.path
    let body = Array(try await request.body.collect(upTo: Self.bodyByteCountMax).readableBytesView)
    if let answer = await FakeControl(state: state).answer(method: request.method, path: path, body: body) {
      return Self.response(answer)
    }
    let call = FakeCall(method: request.method, path: path)
    let (latency, fault) = state.begin(call.route, path: path)
    if latency > .zero { try await Task.sleep(for: latency) }
    if fault?.hang == true { try await Self.hang() }
    if let fault, let status = fault.status { return Self.response(Self.refusal(fault, status)) }
    let answer = await answer(call, request, body)
    guard let fault else { return Self.response(conditional(answer, request)) }
    if fault.cut == true { return Self.cut(answer) }
    return Self.response(
      FakeAnswer(
        status: answer.status, headers: fault.headers ?? [:],
        body: fault.body.map { ByteBuffer(string: $0) } ?? answer.body))
  }

  /// A call that is answered with a status of the test's choice does nothing.
  private static func refusal(_ fault: FakeFault, _ status: Int) -> FakeAnswer {
    FakeAnswer(
      status: status, headers: fault.headers ?? [:],
      json: fault.body ?? (status < 400 ? "{}" : #"{"message":"refused on purpose"}"#))
  }

  private func answer(_ call: FakeCall, _ request: Request, _ body: [UInt8]) async -> FakeAnswer {
    let api = "http://\(request.head.authority ?? "127.0.0.1")"
    let query = Dictionary(
      request.uri.queryParameters.map { (String($0.key), String($0.value)) }, uniquingKeysWith: { first, _ in first })
    if let moved = moved(call, request, api) { return moved }
    switch call.route {
    case .unknown: return .notFound
    case .githubHookDeliveries:
      // A person may look without a token.
      if let authorization = request.headers[.authorization], !FakeInstallations.isLivingJWT(authorization) {
        return FakeAnswer(.installationTokenUnauthorized, api: api)
      }
      let hooks = FakeHooks(state: state, api: api)
      return request.method == .get ? hooks.list(query) : await hooks.redeliver(call.number)
    case .githubInstallationRepositories, .githubPulls, .githubPermission, .gitlabMergeRequests, .gitlabMember:
      return FakeLists(state: state, api: api).answer(call, path: request.uri.path, query: query)
    case .githubInstallationToken:
      return FakeInstallations(state: state, api: api).answer(
        installation: call.number, authorization: request.headers[.authorization], body: body)
    case .githubReaction, .githubCheckRuns:
      return FakeFeedbackRoutes(state: state, api: api).answer(call, request.method, path: request.uri.path, body: body)
    case .gitlabAwardEmoji, .gitlabStatus:
      return FakeGitLabTokens(state: state, token: Self.token(request)).answer(call, body: body)
        ?? FakeFeedbackRoutes(state: state, api: api).answer(call, request.method, path: request.uri.path, body: body)
    case .gitlabMergeRequest, .gitlabNotes, .gitlabDiscussions, .gitlabDiffs, .gitlabUser, .gitlabProjectToken,
      .gitlabOwnToken, .gitlabTokenRotation:
      return FakeGitLabTokens(state: state, token: Self.token(request)).answer(call, body: body)
        ?? FakeGitLab(state: state, api: api).answer(call, path: request.uri.path, query: query)
    default:
      let github = FakeGitHub(state: state, api: api, authorization: request.headers[.authorization] ?? "")
      return github.limited ?? github.answer(call, path: request.uri.path, query: query)
    }
  }

  /// What a repository that a test has renamed answers under its old name.
  private func moved(_ call: FakeCall, _ request: Request, _ api: String) -> FakeAnswer? {
    guard let name = state.withValues({ $0.renamed[call.repository] }) else { return nil }
    let target = api + request.uri.string.replacing("/repos/\(call.repository)", with: "/repos/\(name)")
    return FakeAnswer(
      status: request.method == .get ? 301 : 307, headers: ["location": target],
      json: #"{"message":"Moved Permanently","url":"\#(target)"}"#)
  }

  /// GitLab takes a token in a header of its own, or in the usual one.
  private static func token(_ request: Request) -> String {
    if let name = HTTPField.Name("private-token"), let token = request.headers[name] { return token }
    return request.headers[.authorization].map { String($0.dropFirst("Bearer ".count)) } ?? ""
  }

  /// Gives a success its `ETag`, which as at GitHub is another one for each token, and answers 304 to a caller that has it.
  private func conditional(_ answer: FakeAnswer, _ request: Request) -> FakeAnswer {
    guard request.method == .get, answer.status == 200 else { return answer }
    let authorization = request.headers[.authorization] ?? Self.token(request)
    var hash = Hash(seed: authorization + String(buffer: answer.body))
    let etag = "W/\"\(hash.hex())\(hash.hex())\""
    var answer = answer
    answer.headers["etag"] = etag
    guard request.headers[.ifNoneMatch] == etag else { return answer }
    state.notModified(request.headers[.authorization] ?? "")
    (answer.status, answer.body) = (304, ByteBuffer())
    answer.headers["content-type"] = nil
    return answer
  }

  /// Never returns, except at the stand-in's own end.
  private static func hang() async throws {
    try await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(86_400)) }
  }

  private static func response(_ answer: FakeAnswer) -> Response {
    Response(
      status: .init(code: answer.status), headers: headers(answer), body: ResponseBody(byteBuffer: answer.body))
  }

  /// Promises the whole body, sends half of it, and closes.
  private static func cut(_ answer: FakeAnswer) -> Response {
    struct Cut: Error {}
    let half = answer.body.getSlice(at: answer.body.readerIndex, length: answer.body.readableBytes / 2) ?? ByteBuffer()
    return Response(
      status: .init(code: answer.status), headers: headers(answer),
      body: ResponseBody(contentLength: answer.body.readableBytes) { writer in
        try await writer.write(half)
        throw Cut()
      })
  }

  private static func headers(_ answer: FakeAnswer) -> HTTPFields {
    var fields = HTTPFields()
    for (name, value) in answer.headers {
      if let name = HTTPField.Name(name) { fields[name] = value }
    }
    return fields
  }
}
