internal import AsyncHTTPClient
internal import FoundationEssentials
internal import NIOCore
internal import NIOHTTP1

/// One successful answer, whole.
struct APIAnswer: Sendable {
  /// Where it came from in the end, after redirects.
  var url: String
  var headers: HTTPHeaders
  var body: Data
}

/// Calls of one API host: bounded in time and size, never following a link or a redirect to another host.
struct APIClient: Sendable {
  /// The largest answer that is read, in bytes: a hundred comments of GitHub's 64 KiB fit.
  static let answerByteCountMax = 8 * 1024 * 1024
  /// GitHub redirects a renamed repository once; a chain longer than this is a loop.
  static let redirectCountMax = 3

  let base: APIBase
  let httpClient: HTTPClient
  /// For one exchange: from looking for a connection to the last byte of the body.
  let timeout: Duration
  /// The wall clock.
  let now: @Sendable () -> Date

  /// Gets one resource, redirects of the same host included.
  /// - Parameter path: begins with a slash, percent-encoded, with its query.
  func get(_ path: String, headers: HTTPHeaders) async throws(APIFault) -> APIAnswer {
    try await get(absolute: base.url(path), headers: headers)
  }

  /// Gets all pages of a list in turn by their `Link` header.
  /// - Parameters:
  ///   - pageCountMax: reading stops there; what follows is left out.
  ///   - visit: takes the items of one page, so that not all of them are in memory at once.
  func forEachPage<Item: Decodable & Sendable>(
    of path: String, as item: Item.Type, headers: HTTPHeaders, pageCountMax: Int, visit: ([Item]) -> Void
  ) async throws(APIFault) {
    var url = base.url(path)
    for _ in 0..<pageCountMax {
      let answer = try await get(absolute: url, headers: headers)
      visit(try Self.decode([Item].self, from: answer.body))
      guard let next = LinkHeader.target(of: "next", in: answer.headers[canonicalForm: "link"].joined(separator: ","))
      else { return }
      guard let sameHost = base.sameOrigin(next, from: answer.url) else {
        throw .malformed(message: "the next page is on another host")
      }
      url = sameHost
    }
  }

  /// Posts JSON. Redirects are not followed.
  func post(_ path: String, headers: HTTPHeaders, body: Data) async throws(APIFault) -> APIAnswer {
    try await send(.POST, path, headers: headers, body: body)
  }

  /// Sends JSON. Redirects are not followed.
  func send(_ method: HTTPMethod, _ path: String, headers: HTTPHeaders, body: Data) async throws(APIFault) -> APIAnswer
  {
    var request = HTTPClientRequest(url: base.url(path))
    request.method = method
    request.headers = headers
    request.headers.add(name: "content-type", value: "application/json")
    request.body = .bytes(ByteBuffer(bytes: body))
    let (status, answer) = try await exchange(request)
    try check(status, answer)
    return answer
  }

  /// Reads JSON. What it holds is not quoted in the fault.
  static func decode<Value: Decodable>(_ type: Value.Type, from body: Data) throws(APIFault) -> Value {
    do {
      return try JSONDecoder().decode(type, from: body)
    } catch {
      throw .malformed(message: "the answer is not the JSON that the API promises")
    }
  }

  private func get(absolute url: String, headers: HTTPHeaders) async throws(APIFault) -> APIAnswer {
    var url = url
    for _ in 0...Self.redirectCountMax {
      var request = HTTPClientRequest(url: url)
      request.headers = headers
      let (status, answer) = try await exchange(request)
      guard [301, 302, 307, 308].contains(status) else {
        try check(status, answer)
        return answer
      }
      url = try redirectTarget(of: answer)
    }
    throw .malformed(message: "it redirected more than \(Self.redirectCountMax) times")
  }

  private func redirectTarget(of answer: APIAnswer) throws(APIFault) -> String {
    guard let location = answer.headers.first(name: "location") else {
      throw .malformed(message: "it redirected without saying where")
    }
    guard let target = base.sameOrigin(location, from: answer.url) else {
      throw .refused(message: "it redirected to another host, which is not followed")
    }
    return target
  }

  private func check(_ status: Int, _ answer: APIAnswer) throws(APIFault) {
    if let fault = APIFault(status: status, headers: answer.headers, body: answer.body, now: now()) { throw fault }
  }

  /// One exchange under the deadline. The client's own timeout ends with the head of the answer, so the whole of it
  /// runs against a timer; the loser is cancelled, which closes its connection.
  private func exchange(_ request: HTTPClientRequest) async throws(APIFault) -> (status: Int, answer: APIAnswer) {
    let result: Result<(status: Int, answer: APIAnswer), any Error>?
    result = await withTaskGroup(of: Result<(status: Int, answer: APIAnswer), any Error>?.self) { group in
      group.addTask {
        do {
          return .success(try await perform(request))
        } catch {
          return .failure(error)
        }
      }
      group.addTask {
        try? await Task.sleep(for: timeout)
        return nil
      }
      defer { group.cancelAll() }
      return await group.next() ?? nil
    }
    switch result {
    case .success(let exchanged): return exchanged
    case .failure(let error): throw Task.isCancelled ? .cancelled : APIFault(transport: error)
    case nil: throw Task.isCancelled ? .cancelled : .failing(message: "it did not answer within \(timeout)")
    }
  }

  private func perform(_ request: HTTPClientRequest) async throws -> (status: Int, answer: APIAnswer) {
    let seconds = timeout.components.seconds
    let response = try await httpClient.execute(request, timeout: .seconds(max(seconds, 1)))
    let body = try await response.body.collect(upTo: Self.answerByteCountMax)
    let answer = APIAnswer(url: request.url, headers: response.headers, body: Data(body.readableBytesView))
    return (Int(response.status.code), answer)
  }
}
